import { createServer } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import { describeNodeAddressError, isOutOfReach } from './node-address.ts'

/** What an operator is told who wants a node to listen there. */
async function told(host: string, port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const server = createServer().on('error', resolve)
  server.listen({ host, port }, () => {
    server.close()
    reject(new Error('nothing was wrong'))
  })
  return (await describeNodeAddressError(await promise, { host, port })).message
}

describe('a NODE_ADDRESS that cannot be listened on', () => {
  it('is named with what is wrong and what to do', async () => {
    expect(await told('192.0.2.1', 0)).toBe(
      'NODE_ADDRESS: 192.0.2.1 is no address of this machine; name one of its own',
    )
    expect(await told('node.invalid', 0)).toMatch(/^NODE_ADDRESS: the name node\.invalid cannot be resolved/)
    const owner = createServer()
    const port = await new Promise<number>((resolve) => {
      owner.listen(0, '127.0.0.1', () => resolve((owner.address() as { port: number }).port))
    })
    expect(await told('127.0.0.1', port)).toMatch(new RegExp(`^TCP port ${port} is in use by .*set NODE_ADDRESS`))
    owner.close()
  })
})

describe('a node at a loopback address', () => {
  it('is out of reach of nodes that are not', () => {
    expect(isOutOfReach('127.0.0.1:7000', '192.0.2.1:7000')).toBe(true)
    expect(isOutOfReach('[2001:db8::1]:7000', '[::1]:7000')).toBe(true)
    expect(isOutOfReach('127.0.0.1:7000', '127.0.0.1:7001')).toBe(false)
    expect(isOutOfReach('node-a:7000', '192.0.2.1:7000')).toBe(false)
  })
})
