import { beforeEach, describe, expect, it } from '@jest/globals'
import { ConnectionGuard } from './connection-guard.ts'

class Connection {
  end: string | undefined
  destroy(end: 'displaced'): void {
    this.end = end
  }
}

describe('a connection guard', () => {
  let hits: string[] = []
  beforeEach(() => {
    hits = []
  })
  const guardOf = (perSource: number, total: number, isExempt: (ip: string) => boolean = () => false) =>
    new ConnectionGuard<Connection>({ perSource, total, isExempt }, (limit, source) => hits.push(`${limit} ${source}`))
  const admit = (guard: ConnectionGuard<Connection>, ip: string) => {
    const connection = new Connection()
    return guard.admit(connection, ip) ? connection : undefined
  }

  it('pushes out the oldest of the same source that has sent nothing valid', () => {
    const guard = guardOf(2, 100)
    const [first, second, other] = [
      admit(guard, '203.0.113.7'),
      admit(guard, '203.0.113.7'),
      admit(guard, '203.0.113.8'),
    ]
    expect(admit(guard, '203.0.113.7')).toBeDefined()
    expect([first?.end, second?.end, other?.end]).toEqual(['displaced', undefined, undefined])
    expect(guard.connections).toBe(3)
    expect(hits).toEqual(['connections_per_source 203.0.113.7'])
  })

  it('never pushes out who has proved to be a client: the newcomer is refused', () => {
    const guard = guardOf(2, 100)
    for (const connection of [admit(guard, '203.0.113.7'), admit(guard, '203.0.113.7')]) {
      if (connection) guard.prove(connection)
    }
    expect(admit(guard, '203.0.113.7')).toBeUndefined()
    expect(admit(guard, '203.0.113.8')).toBeDefined()
    expect(guard.connections).toBe(3)
  })

  it('lets a source have more connections where some have their right to stay from elsewhere', () => {
    const guard = guardOf(2, 5)
    const exempt = [1, 2, 3].map(() => {
      const connection = admit(guard, '203.0.113.7')
      if (connection) guard.exempt(connection)
      return connection
    })
    expect([admit(guard, '203.0.113.7'), admit(guard, '203.0.113.7')]).toEqual([
      expect.any(Connection),
      expect.any(Connection),
    ])
    // They are never pushed out, and count among all.
    expect(admit(guard, '203.0.113.9')).toBeDefined()
    expect(exempt.map((connection) => connection?.end)).toEqual([undefined, undefined, undefined])
    expect([guard.connections, guard.sources]).toEqual([5, 2])
    for (const connection of exempt) {
      if (!connection) continue
      guard.exempt(connection)
      guard.remove(connection)
      guard.remove(connection)
    }
    expect([guard.connections, guard.sources]).toEqual([2, 2])
  })

  it('pushes out the oldest of all when the total is reached', () => {
    const guard = guardOf(10, 3)
    const connections = ['1', '2', '3'].map((last) => admit(guard, `203.0.113.${last}`))
    const [first, second] = connections
    if (first) guard.prove(first)
    expect(admit(guard, '203.0.113.4')).toBeDefined()
    expect([first?.end, second?.end]).toEqual([undefined, 'displaced'])
    expect(hits).toEqual(['connections_total 203.0.113.4'])
  })

  it('counts a /64 as one source, and IPv4 addresses apart', () => {
    const guard = guardOf(1, 100)
    const first = admit(guard, '2001:db8::1')
    expect(admit(guard, '2001:db8::ffff:1')).toBeDefined()
    expect(first?.end).toBe('displaced')
    expect(admit(guard, '2001:db8:0:1::1')).toBeDefined()
    expect(guard.sources).toBe(2)
  })

  it('does not count what comes from an exempt address to any source', () => {
    const guard = guardOf(1, 3, (ip) => ip === '127.0.0.1')
    const proxied = [admit(guard, '127.0.0.1'), admit(guard, '127.0.0.1'), admit(guard, '127.0.0.1')]
    expect(proxied.map((connection) => connection?.end)).toEqual([undefined, undefined, undefined])
    admit(guard, '127.0.0.1')
    expect(proxied[0]?.end).toBe('displaced')
    expect(guard.sources).toBe(0)
  })

  it('keeps nothing of connections that are gone', () => {
    const guard = guardOf(10, 100)
    const connections = Array.from({ length: 50 }, (_, i) => admit(guard, `203.0.113.${i % 7}`))
    for (const [i, connection] of connections.entries()) {
      if (!connection) continue
      if (i % 2) guard.prove(connection)
      guard.remove(connection)
      guard.remove(connection)
    }
    expect([guard.connections, guard.sources, [...guard].length]).toEqual([0, 0, 0])
  })
})
