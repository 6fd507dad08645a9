import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { PeerId } from '@tryst/rendezvous'
import { Redis } from 'ioredis'
import { RedisConnection, RedisIdentityArchive, RedisIdentityStore } from '../src/index.ts'
import { device, filled } from './devices.ts'
import { redisSettings } from './redis-fixture.ts'
import { type OwnRedis, startRedisServer, whyNoRedisServer } from './redis-server.ts'
import { until } from './until.ts'

const [suite, name] = whyNoRedisServer
  ? [describe.skip, `an id that was given up, when Redis loses data (skipped: ${whyNoRedisServer})`]
  : [describe, 'an id that was given up, when Redis loses data']

const OLD = '123456789' as PeerId
const NEW = 'front-desk' as PeerId
const HOUR_MS = 3_600_000

suite(name, () => {
  let server: OwnRedis
  let connections: RedisConnection[]
  let contradictions: string[]
  let store: RedisIdentityStore
  /** A node that knows the device by its old id. */
  let other: RedisIdentityStore
  let guid: Uint8Array

  const open = async () => {
    const connection = await RedisConnection.open(redisSettings(server.url))
    connections.push(connection)
    const events = { contradicted: (id: PeerId) => void contradictions.push(id), restored: () => {} }
    return RedisIdentityStore.open(connection, { maxDevices: 100, events })
  }

  beforeEach(async () => {
    server = await startRedisServer()
    connections = []
    contradictions = []
    store = await open()
    other = await open()
    guid = (await store.create(device(OLD))).identity.guid
    await other.find(OLD)
  })

  afterEach(async () => {
    await store.close()
    await other.close()
    for (const connection of connections) connection.close()
    await server.stop()
  })

  const rename = (holdMs = HOUR_MS) => store.rename({ from: OLD, to: NEW, uuid: filled(36, 1), holdMs })

  async function inRedis<T>(act: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis(server.url)
    try {
      return await act(redis)
    } finally {
      redis.disconnect()
    }
  }

  const key = (id: PeerId) => (connections[0] as RedisConnection).keys.peer(id)
  const marked = () => inRedis((redis) => redis.hget(key(OLD), 'moved'))

  async function loseEverything(): Promise<void> {
    await inRedis((redis) => redis.flushall())
    for (const connection of connections) connection.suspectLoss('it was emptied')
  }

  it('is not put back by nodes that remember the device under it', async () => {
    await rename()
    await loseEverything()
    await until(async () => (await marked()) !== null, 'the mark is there again')
    await until(async () => (await store.find(NEW)) !== undefined, 'the device is there again')
    // Whoever came first: what was written last stands.
    await until(async () => (await other.find(OLD))?.movedTo === NEW, 'the other node knows')
    expect(await store.find(OLD)).toMatchObject({ guid, movedTo: NEW })
    expect(await other.find(NEW)).toMatchObject({ guid })
    expect(contradictions).toEqual([])
  })

  it('is put right where the node that did not know wrote it back first', async () => {
    await rename()
    const row = await inRedis((redis) => redis.hgetallBuffer(key(OLD)))
    await inRedis(async (redis) => {
      await redis.del(key(OLD))
      await redis.hset(key(OLD), { ...row, v: '1' })
      await redis.hdel(key(OLD), 'moved')
    })
    expect(await store.find(OLD)).toMatchObject({ movedTo: NEW })
    expect(await marked()).toMatch(/^\d+:front-desk$/)
  })

  it('stays free after its hold, whoever remembers what', async () => {
    await rename(1)
    await until(async () => (await store.find(OLD)) === undefined, 'the id is free')
    await loseEverything()
    await until(async () => (await store.find(NEW)) !== undefined, 'the device is there again')
    await until(async () => (await marked()) !== null, 'the mark is there again')
    expect(await store.find(OLD)).toBeUndefined()
    expect(await other.find(OLD)).toBeUndefined()
  })

  it('is somebody else\u2019s afterwards, which no node takes for a contradiction', async () => {
    await rename(1)
    await until(async () => (await store.find(OLD)) === undefined, 'the id is free')
    const next = await store.create(device(OLD, 2))
    expect(next.created).toBe(true)
    expect(await other.find(OLD)).toEqual(next.identity)
    await loseEverything()
    await until(async () => (await store.find(OLD)) !== undefined, 'it is there again')
    await until(async () => (await other.find(OLD))?.uuid[0] === 2, 'for both')
    expect(contradictions).toEqual([])
  })

  it('takes its newcomer for one although an older mark has come back', async () => {
    await rename(1)
    await until(async () => (await store.find(OLD)) === undefined, 'the id is free')
    const before = await inRedis((redis) => redis.hgetallBuffer(key(OLD)))
    const next = await store.create(device(OLD, 2))
    await inRedis(async (redis) => {
      await redis.del(key(OLD))
      await redis.hset(key(OLD), before)
    })
    expect(await store.find(OLD)).toMatchObject({ guid: next.identity.guid })
    expect(await other.find(OLD)).toMatchObject({ guid: next.identity.guid })
    expect(contradictions).toEqual([])
  })

  it('is answered from memory while Redis is away, and not lent to other nodes', async () => {
    await rename()
    await server.kill()
    await until(() => connections.every(({ state }) => state === 'away'), 'Redis is away')
    expect(await store.find(OLD)).toMatchObject({ movedTo: NEW, standing: 'uncertain' })
    expect(await store.find(NEW)).toMatchObject({ guid, standing: 'uncertain' })
    expect(store.recall(OLD)).toBeUndefined()
    expect(store.recall(NEW)).toMatchObject({ guid })
    await expect(rename()).rejects.toThrow()
    await server.restart()
  })

  it('is left out of an export; an import takes it from nobody and gives it back to nobody while it is held', async () => {
    const [connection] = connections as [RedisConnection]
    const archive = new RedisIdentityArchive(connection)
    await rename(HOUR_MS)
    const exported = []
    for await (const identity of archive.export()) exported.push(identity)
    expect(exported).toEqual([expect.objectContaining({ id: NEW, guid })])
    const archived = { ...device(OLD), guid: filled(16, 7), createdMs: 1_700_000_000_000 }
    const outcomes = []
    for await (const { outcome } of archive.import([archived])) outcomes.push(outcome)
    for await (const { outcome } of archive.import([{ ...archived, uuid: filled(36, 9) }])) outcomes.push(outcome)
    expect(outcomes).toEqual(['same', 'other'])
    expect(await store.find(OLD)).toMatchObject({ movedTo: NEW })
    for await (const { outcome } of archive.import([archived], { replace: new Set([OLD]) })) outcomes.push(outcome)
    const replacing = archive.import([{ ...archived, uuid: filled(36, 9) }], { replace: new Set([OLD]) })
    for await (const { outcome } of replacing) outcomes.push(outcome)
    expect(outcomes.slice(2)).toEqual(['same', 'replaced'])
    const replaced = await store.find(OLD)
    expect(replaced).toMatchObject({ uuid: filled(36, 9) })
    expect(replaced?.movedTo).toBeUndefined()
  })

  it('is imported like any other once it is free', async () => {
    await rename(1)
    await until(async () => (await store.find(OLD)) === undefined, 'the id is free')
    const archive = new RedisIdentityArchive(connections[0] as RedisConnection)
    const archived = { ...device(OLD, 2), guid: filled(16, 7), createdMs: 1_700_000_000_000 }
    for await (const { outcome } of archive.inspect([archived])) expect(outcome).toBe('created')
    for await (const { outcome } of archive.import([archived])) expect(outcome).toBe('created')
    expect(await store.find(OLD)).toMatchObject({ guid: filled(16, 7) })
    expect(await other.find(OLD)).toMatchObject({ guid: filled(16, 7) })
    expect(contradictions).toEqual([])
  })
})
