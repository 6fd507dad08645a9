import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { RelayChooser } from '@tryst/rendezvous'
import { acceptsConnections, RelayProbe, resolvable } from './relay-probe.ts'

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

describe('announced relays that nobody can speak for', () => {
  it('are tried, and those that answer are offered', async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const up = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const down = '127.0.0.1:1'
    const announced = { name: '', region: '', isDraining: false, capacityBitsPerSecond: 1, loadBitsPerSecond: 0 }
    const directory = { isFresh: false, live: () => [down, up].map((address) => ({ ...announced, address })) }
    const relays = new RelayChooser([], { directory, fallback: '', defaultPort: 21117, rules: [], random: () => 0 })
    const probe = new RelayProbe(relays, 5)
    try {
      expect(relays.next('203.0.113.7')).toBe(down)
      await probe.start()
      while (relays.next('203.0.113.7') !== up) await new Promise((resolve) => setTimeout(resolve, 5))
      directory.isFresh = true
      expect(relays.next('203.0.113.7')).toBe(down)
    } finally {
      probe.close()
      server.close()
    }
  })
})
