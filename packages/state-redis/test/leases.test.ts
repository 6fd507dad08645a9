import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { StoreUnavailableError } from '@tryst/rendezvous'
import { RedisConnection, RedisNode } from '../src/index.ts'
import { CLAIM, RELEASE, RESTORE } from '../src/presence-scripts.ts'
import { redisSettings } from './redis-fixture.ts'
import { type OwnRedis, startRedisServer, whyNoRedisServer } from './redis-server.ts'
import { until } from './until.ts'

const [suite, name] = whyNoRedisServer
  ? [describe.skip, `leases and steps (skipped: ${whyNoRedisServer})`]
  : [describe, 'leases and steps']

const LEASE_MS = 900

suite(name, () => {
  let redis: OwnRedis
  let connections: RedisConnection[]
  let first: RedisNode
  let second: RedisNode

  beforeEach(async () => {
    redis = await startRedisServer()
    connections = []
    first = await open('a')
    second = await open('b')
    await first.renew()
  })

  afterEach(async () => {
    await Promise.all([first.withdraw(), second.withdraw()])
    for (const connection of connections) connection.close()
    await redis.stop()
  })

  async function open(label: string): Promise<RedisNode> {
    const connection = await RedisConnection.open(redisSettings(redis.url, { nodeLeaseMs: LEASE_MS }))
    connections.push(connection)
    const node = new RedisNode(connection, { role: 'id-server', name: label, address: `${label}:1`, version: '1' })
    await node.start()
    return node
  }

  const sees = (node: RedisNode, other: RedisNode) => node.others.has(other.incarnation)
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

  it('show the nodes that live, with what they say of themselves', () => {
    expect([...first.others.values()]).toEqual([
      { incarnation: second.incarnation, role: 'id-server', name: 'b', address: 'b:1', version: '1' },
    ])
    expect(sees(second, first)).toBe(true)
    expect(first.incarnation).toMatch(/^[0-9a-f]{32}$/)
  })

  it('end a lease that is not renewed, and at once when it is withdrawn', async () => {
    connections[1]?.close()
    await until(() => !sees(first, second), 'the lease has lapsed')
    expect(second.hasLease).toBe(false)
    const third = await open('c')
    await first.renew()
    expect(sees(first, third)).toBe(true)
    await third.withdraw()
    await third.withdraw()
    await first.renew()
    expect(sees(first, third)).toBe(false)
  })

  it('keep an address of relays that several nodes have while one of them goes', async () => {
    const relay = {
      ...{ address: 'relay.example:21117', name: 'r', region: '', isDraining: false },
      ...{ capacityBitsPerSecond: 100, loadBitsPerSecond: 10 },
    }
    const third = await open('c')
    await second.announce(relay, 10 * LEASE_MS)
    await third.announce(relay, 10 * LEASE_MS)
    await first.renew()
    expect(first.relays).toEqual([{ ...relay, capacityBitsPerSecond: 200, loadBitsPerSecond: 20 }])
    await third.withdrawRelay(relay.address)
    await first.renew()
    expect(first.relays).toEqual([relay])
    await third.announce(relay, 10 * LEASE_MS)
    await third.withdraw()
    await first.renew()
    expect(first.relays).toEqual([relay])
    await second.withdraw()
    await first.renew()
    expect(first.relays).toEqual([])
  })

  it('believe in a lease no longer than from when its renewal was sent', async () => {
    redis.pause()
    const pausedMs = performance.now()
    await until(() => !first.hasLease, 'the lease is over')
    expect(performance.now() - pausedMs).toBeLessThan(LEASE_MS + 100)
    redis.resume()
    await until(() => first.hasLease, 'the lease is renewed')
  })

  it('take nodes for alive for one lease more after a stall of Redis, and only once', async () => {
    redis.pause()
    connections[1]?.close()
    await wait(2 * LEASE_MS)
    redis.resume()
    await until(() => first.hasLease, 'the lease is renewed')
    expect(sees(first, second)).toBe(true)
    redis.pause()
    await wait(2 * LEASE_MS)
    redis.resume()
    await until(() => first.hasLease, 'the lease is renewed')
    expect(sees(first, second)).toBe(false)
  })

  it('find a node that came a moment ago, and know that one which is gone stays gone', async () => {
    const third = await open('c')
    expect(sees(first, third)).toBe(false)
    expect(await first.find(third.incarnation)).toMatchObject({ name: 'c' })
    await third.withdraw()
    await first.renew()
    const before = connections[0]?.counters.commands
    expect(await first.find(third.incarnation)).toBeUndefined()
    expect(connections[0]?.counters.commands).toBe(before)
  })

  it('do not let a node start that cannot tell the others', async () => {
    redis.pause()
    const [connection] = connections as [RedisConnection]
    const node = new RedisNode(connection, { role: 'relay', name: 'd', address: 'd:1', version: '1' })
    await expect(node.start()).rejects.toThrow(StoreUnavailableError)
    redis.resume()
  })

  describe('a second run of a step', () => {
    const claim = (owner: string, number: number) =>
      run(CLAIM, [owner, number, 60_000, '192.0.2.1', 'udp']) as Promise<[string, string, string]>
    const release = (owner: string, number: number) => run(RELEASE, [owner, number])
    const restore = (owner: string, number: number, version: number) =>
      run(RESTORE, [owner, number, 60_000, version, '192.0.2.1', 'udp']) as Promise<string[]>

    function run(script: typeof CLAIM, args: (string | number)[]) {
      const [connection] = connections as [RedisConnection]
      return connection.run({ script, keys: [connection.keys.presence('1')], args })
    }

    async function owner(): Promise<unknown> {
      const [connection] = connections as [RedisConnection]
      const key = connection.keys.presence('1')
      return connection.command({ key, name: 'HGET', args: [key, 'o'] })
    }

    it('of a claim changes nothing, neither while the claim stands nor after another', async () => {
      const [version] = await claim('a', 1)
      expect((await claim('a', 1))[0]).toBe(version)
      const [later, former] = await claim('b', 1)
      expect(former).toBe('a')
      expect(Number(later)).toBeGreaterThan(Number(version))
      await claim('a', 1)
      expect(await owner()).toBe('b')
    })

    it('of a release does not end a later claim', async () => {
      await claim('a', 1)
      await release('a', 2)
      expect(await owner()).toBeNull()
      await claim('a', 3)
      await release('a', 2)
      expect(await owner()).toBe('a')
      await claim('b', 1)
      await release('a', 4)
      expect(await owner()).toBe('b')
    })

    it('of writing back does not take a device from a later claim', async () => {
      const [version] = await claim('a', 1)
      expect(await restore('a', 2, Number(version))).toEqual(['held', version, ''])
      const [later] = await claim('b', 1)
      expect(await restore('a', 2, Number(version))).toEqual(['lost', later, 'b'])
      expect(await owner()).toBe('b')
    })
  })
})
