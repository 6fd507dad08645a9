import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { type PeerId, StoreUnavailableError } from '@tryst/rendezvous'
import { Redis } from 'ioredis'
import { RedisConnection, RedisIdentityStore } from '../src/index.ts'
import { device, filled } from './devices.ts'
import { redisSettings } from './redis-fixture.ts'
import { type OwnRedis, startRedisServer, untilReplicating, whyNoRedisServer } from './redis-server.ts'
import { until } from './until.ts'

const [suite, name] = whyNoRedisServer
  ? [describe.skip, `identities while Redis fails (skipped: ${whyNoRedisServer})`]
  : [describe, 'identities while Redis fails']

suite(name, () => {
  let server: OwnRedis
  let connection: RedisConnection
  let store: RedisIdentityStore
  let contradictions: string[]
  let restored: number

  beforeEach(async () => {
    server = await startRedisServer()
    ;({ connection, store } = await open(server))
  })

  afterEach(async () => {
    jest.restoreAllMocks()
    await store.close()
    connection.close()
    await server.stop()
  })

  async function open(at: OwnRedis) {
    contradictions = []
    restored = 0
    const connection = await RedisConnection.open(redisSettings(at.url))
    const store = await RedisIdentityStore.open(connection, {
      maxDevices: 10_000,
      events: {
        contradicted: (id, acknowledged, stored) =>
          contradictions.push(`${id}: ${acknowledged.uuid[0]} and ${stored.uuid[0]}`),
        restored: (count) => {
          restored += count
        },
      },
    })
    return { connection, store }
  }

  async function inRedis<T>(ask: (redis: Redis) => Promise<T>, at = server): Promise<T> {
    const redis = new Redis(at.url)
    try {
      return await ask(redis)
    } finally {
      redis.disconnect()
    }
  }

  const storedIds = (at = server) =>
    inRedis(async (redis) => (await redis.keys('*:peer:*')).map((key) => key.replace(/.*:/, '')).sort(), at)
  const isUp = () => until(() => store.isReady, 'Redis is up')

  async function refusalOf(action: Promise<unknown>): Promise<{ error: unknown; tookMs: number }> {
    const startedMs = performance.now()
    const error = await action.then(
      () => undefined,
      (failure: unknown) => failure,
    )
    return { error, tookMs: performance.now() - startedMs }
  }

  it('refuses within a second what a stopped Redis does not answer, and it does not happen later', async () => {
    await store.create(device('known'))
    server.pause()
    for (const action of [
      store.create(device('new-1')),
      store.create(device('new-2')),
      store.find('new-3' as PeerId),
      store.update(device('known') as never, { publicKey: filled(32, 9), ip: '203.0.113.9' }),
    ]) {
      const { error, tookMs } = await refusalOf(action)
      expect(error).toBeInstanceOf(StoreUnavailableError)
      expect(tookMs).toBeLessThan(1_000)
    }
    await until(async () => {
      await Promise.all([refusalOf(store.create(device('new-4'))), refusalOf(store.find('new-4' as PeerId))])
      return connection.state === 'away'
    }, 'Redis is taken for away')
    const sent = connection.counters.commands
    for (const action of [store.create(device('new-5')), store.find('new-5' as PeerId)])
      expect((await refusalOf(action)).tookMs).toBeLessThan(50)
    expect(connection.counters.commands).toBe(sent)
    server.resume()
    await isUp()
    expect(await storedIds()).toEqual(['known'])
    expect(await store.find('known' as PeerId)).toMatchObject({ publicKey: filled(32, 1) })
    expect(await store.create(device('new-1'))).toMatchObject({ created: true })
  })

  it('answers for what it knows from memory while Redis is away, and keeps a new address for later', async () => {
    const { identity } = await store.create(device('known'))
    await server.kill()
    await until(() => connection.state === 'away', 'Redis is away')
    expect(await store.find('known' as PeerId)).toEqual({ ...identity, standing: 'uncertain' })
    expect(await store.update(identity, { publicKey: identity.publicKey, ip: '203.0.113.99' })).toBe(true)
    expect(await store.find('known' as PeerId)).toMatchObject({ ip: '203.0.113.99', standing: 'uncertain' })
    const newKey = store.update(identity, { publicKey: filled(32, 9), ip: '203.0.113.99' })
    await expect(newKey).rejects.toThrow(StoreUnavailableError)
    await expect(store.find('unknown' as PeerId)).rejects.toThrow(StoreUnavailableError)
    await server.restart()
    await isUp()
    await until(
      () => inRedis(async (redis) => (await redis.hget(connection.keys.peer('known'), 'ip')) === '203.0.113.99'),
      'the address is in Redis',
    )
  })

  it('asks other nodes for what it does not know while Redis is away, and takes it over', async () => {
    const { identity } = await store.create(device('known'))
    const asked: string[] = []
    const elsewhere = await RedisIdentityStore.open(connection, {
      maxDevices: 10,
      askOthers: async (id) => {
        asked.push(id)
        return store.recall(id)
      },
    })
    try {
      await server.kill()
      await until(() => connection.state === 'away', 'Redis is away')
      expect(await elsewhere.find('known' as PeerId)).toEqual({ ...identity, standing: 'uncertain' })
      expect(await elsewhere.update(identity, { publicKey: identity.publicKey, ip: '203.0.113.99' })).toBe(true)
      await expect(elsewhere.find('unknown' as PeerId)).rejects.toThrow(StoreUnavailableError)
      expect(asked).toEqual(['known', 'unknown'])
    } finally {
      await elsewhere.close()
    }
  })

  it('writes everything back into a Redis that was restarted empty, and is sure of nothing for 20 s', async () => {
    const devices = Array.from({ length: 1_000 }, (_, index) => device(`device-${index}`, index % 256))
    await Promise.all(devices.map((each) => store.create(each)))
    const before = await storedIds()
    await server.restart('empty')
    await isUp()
    expect(await store.find('device-7' as PeerId)).toMatchObject({ uuid: filled(36, 7), standing: 'uncertain' })
    await until(() => restored >= 1_000, 'all are restored', 10_000)
    expect(await storedIds()).toEqual(before)
    expect(await store.find('device-8' as PeerId)).toMatchObject({ uuid: filled(36, 8), standing: 'uncertain' })
    const now = performance.now.bind(performance)
    const ahead = jest.spyOn(performance, 'now').mockImplementation(() => now() + 19_000 - 5_000)
    expect(store.isUncertain).toBe(true)
    ahead.mockImplementation(() => now() + 20_001)
    expect(await store.find('device-8' as PeerId)).toMatchObject({ standing: 'certain' })
    expect(contradictions).toEqual([])
  })

  it('is not sure after a restart with its data either: the last second may be missing', async () => {
    await store.create(device('known'))
    await server.restart()
    await isUp()
    expect(await store.find('known' as PeerId)).toMatchObject({ standing: 'uncertain' })
  })

  it('puts back at once what it finds missing or older than it knows', async () => {
    const { identity } = await store.create(device('missing'))
    const old = await store.create(device('old'))
    const key = connection.keys.peer('old')
    const before = await inRedis((redis) => redis.hgetallBuffer(key))
    await store.update(old.identity, { publicKey: filled(32, 9), ip: '203.0.113.9' })
    await inRedis(async (redis) => {
      await redis.del(connection.keys.peer('missing'))
      await redis.hset(key, before)
    })
    expect(await store.find('missing' as PeerId)).toEqual({ ...identity, standing: 'uncertain' })
    expect(await store.find('old' as PeerId)).toMatchObject({ publicKey: filled(32, 9), standing: 'uncertain' })
    await until(() => restored === 2, 'both are restored')
    expect(await inRedis((redis) => redis.hgetBuffer(key, 'pk'))).toEqual(Buffer.alloc(32, 9))
  })

  it('names both where Redis contradicts what it has acknowledged, and changes nothing', async () => {
    await store.create(device('123456789', 1))
    const other = await open(server)
    const key = connection.keys.peer('123456789')
    await inRedis((redis) => redis.del(key))
    await other.store.create(device('123456789', 2))
    await other.store.close()
    other.connection.close()
    expect(await store.find('123456789' as PeerId)).toMatchObject({ uuid: filled(36, 2), standing: 'contradicted' })
    expect(await store.create(device('123456789', 1))).toMatchObject({
      created: false,
      identity: { uuid: filled(36, 2), standing: 'contradicted' },
    })
    expect(contradictions).toContain('123456789: 1 and 2')
    expect(await inRedis((redis) => redis.hgetBuffer(key, 'uuid'))).toEqual(Buffer.alloc(36, 2))
  })

  it('takes what the operator has decided', async () => {
    await store.create(device('123456789', 1))
    const later = String((Date.now() + 1_000) * 1000)
    await inRedis((redis) =>
      redis.hset(connection.keys.peer('123456789'), {
        ...{ guid: Buffer.alloc(16, 5), uuid: Buffer.alloc(36, 5), pk: Buffer.alloc(32, 5) },
        ...{ v: later, by: 'operator' },
      }),
    )
    expect(await store.find('123456789' as PeerId)).toMatchObject({ uuid: filled(36, 5), standing: 'certain' })
  })

  it('takes a change by another node for what it is', async () => {
    const { identity } = await store.create(device('123456789', 1))
    const other = await open(server)
    expect(await other.store.update(identity, { publicKey: filled(32, 2), ip: '203.0.113.8' })).toBe(true)
    await other.store.close()
    other.connection.close()
    expect(await store.find('123456789' as PeerId)).toMatchObject({ publicKey: filled(32, 2), standing: 'certain' })
    expect(store.isUncertain).toBe(false)
  })

  it('still says what is stored when Redis may not write', async () => {
    const { identity } = await store.create(device('known'))
    await inRedis((redis) => redis.config('SET', 'min-replicas-to-write', '1'))
    await expect(store.create(device('new'))).rejects.toThrow(/NOREPLICAS/)
    const again = await open(server)
    expect(await again.store.find('known' as PeerId)).toEqual(identity)
    await again.store.close()
    again.connection.close()
    expect(await store.find('known' as PeerId)).toEqual(identity)
  })

  describe('with a replica', () => {
    let replica: OwnRedis

    beforeEach(async () => {
      replica = await startRedisServer('--replicaof', '127.0.0.1', `${server.port}`)
      await untilReplicating(server, 1)
      await store.close()
      connection.close()
      ;({ connection, store } = await open(server))
    })

    afterEach(() => replica.stop())

    it('acknowledges what the replica has', async () => {
      await Promise.all(Array.from({ length: 50 }, (_, index) => store.create(device(`device-${index}`, index))))
      expect((await storedIds(replica)).length).toBe(50)
    })

    it('acknowledges no new id and no new key that the replica does not have, and takes it back', async () => {
      const { identity } = await store.create(device('known', 1))
      replica.pause()
      const creating = refusalOf(store.create(device('new')))
      const changing = refusalOf(store.update(identity, { publicKey: filled(32, 2), ip: '203.0.113.9' }))
      for (const { error, tookMs } of [await creating, await changing]) {
        expect(error).toBeInstanceOf(StoreUnavailableError)
        expect(tookMs).toBeLessThan(1_000)
      }
      await until(async () => (await storedIds()).length === 1, 'the new id is taken back')
      expect(await store.find('known' as PeerId)).toMatchObject({ publicKey: filled(32, 1), ip: '203.0.113.7' })
      // Who only moves need not wait.
      const current = await store.find('known' as PeerId)
      if (!current) throw new Error('known is missing')
      expect(await store.update(current, { publicKey: current.publicKey, ip: '203.0.113.9' })).toBe(true)
      replica.resume()
      expect(await store.create(device('new'))).toMatchObject({ created: true })
    })

    it('acknowledges no change of an id that the replica does not have, and takes it back', async () => {
      const { identity } = await store.create(device('known', 1))
      const renaming = { from: 'known' as PeerId, to: 'new-name' as PeerId, uuid: filled(36, 1), holdMs: 3_600_000 }
      replica.pause()
      const { error, tookMs } = await refusalOf(store.rename(renaming))
      expect(error).toBeInstanceOf(StoreUnavailableError)
      expect(tookMs).toBeLessThan(1_500)
      await until(async () => (await storedIds()).join() === 'known', 'the new id is taken back')
      const standing = await store.find('known' as PeerId)
      expect(standing).toMatchObject({ guid: identity.guid, publicKey: filled(32, 1) })
      expect(standing?.movedTo).toBeUndefined()
      replica.resume()
      await until(async () => (await refusalOf(store.rename(renaming))).error === undefined, 'it is renamed')
      expect(await store.find('new-name' as PeerId)).toMatchObject({ guid: identity.guid })
    })

    it('goes on refusing when the replica is gone for good', async () => {
      await replica.kill()
      const { error } = await refusalOf(store.create(device('new')))
      expect(error).toBeInstanceOf(StoreUnavailableError)
      expect((error as Error).message).toMatch(/no replica .* see that a replica runs/)
      expect(await store.find('new' as PeerId)).toBeUndefined()
    })
  })
})
