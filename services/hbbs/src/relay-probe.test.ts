import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { acceptsConnections, resolvable } from './relay-probe.ts'

describe('the probe of relays', () => {
  const servers: Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
  })

  it('tells a relay that accepts connections from one that does not', async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
    servers.push(server)
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    expect(await acceptsConnections(`127.0.0.1:${port}`)).toBe(true)
    server.close()
    await once(server, 'close')
    expect(await acceptsConnections(`127.0.0.1:${port}`)).toBe(false)
  })

  it('keeps the names that can be resolved, in their order', async () => {
    expect(await resolvable(['127.0.0.1:21117', 'no-such-relay.invalid:21117', '[::1]:21117'])).toEqual([
      '127.0.0.1:21117',
      '[::1]:21117',
    ])
  })
})
