import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import {
  type ArchivedIdentity,
  checkRedisItself,
  exportCompletely,
  ImportStoppedError,
  importPatiently,
  RedisConnection,
  RedisIdentityArchive,
  RedisIdentityStore,
  readServerKey,
} from '../src/index.ts'
import { device, filled } from './devices.ts'
import { startRedisCluster } from './redis-cluster-servers.ts'
import { redisSettings } from './redis-fixture.ts'
import { type OwnRedis, startRedisServer, whyNoRedisServer } from './redis-server.ts'
import { until } from './until.ts'

const [suite, name] =
  whyNoRedisServer === undefined ? [describe, 'an import'] : [describe.skip, `an import (skipped: ${whyNoRedisServer})`]

const archived = (id: string, value = 1): ArchivedIdentity => ({
  ...device(id, value),
  guid: Buffer.from(id.padStart(16, '.').slice(-16)),
  createdMs: 1_700_000_000_000,
})
const fleet = (size: number) => Array.from({ length: size }, (_, index) => archived(`device-${index}`, index % 256))
const byId = (a: { readonly id: string }, b: { readonly id: string }) => (a.id < b.id ? -1 : 1)

async function exported(connection: RedisConnection): Promise<ArchivedIdentity[]> {
  const all: ArchivedIdentity[] = []
  for await (const batch of exportCompletely(connection)) all.push(...batch)
  return all.sort(byId)
}

suite(name, () => {
  let redis: OwnRedis
  let connection: RedisConnection

  beforeEach(async () => {
    redis = await startRedisServer()
    connection = await RedisConnection.open(redisSettings(redis.url))
  })

  afterEach(async () => {
    connection.close()
    await redis.stop()
  })

  it('goes on when a Redis that stood still is back, and everything is there once', async () => {
    const identities = fleet(3_000)
    redis.pause()
    const importing = importPatiently(connection, identities)
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    redis.resume()
    expect(await importing).toHaveLength(3_000)
    expect(await exported(connection)).toEqual([...identities].sort(byId))
  })

  it('says how far it came when Redis stays away, and can be run again', async () => {
    const identities = fleet(1_000)
    await redis.kill()
    const failure = await importPatiently(connection, identities, { patienceMs: 500 }).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(ImportStoppedError)
    expect(failure).toMatchObject({
      done: 0,
      total: 1_000,
      message: expect.stringContaining('stopped after 0 of 1000'),
    })
    await redis.restart()
    const again = await importPatiently(connection, identities)
    expect(again).toHaveLength(1_000)
    expect(await exported(connection)).toHaveLength(1_000)
  })

  it('replaces only what was shown', async () => {
    const store = await RedisIdentityStore.open(connection, { maxDevices: 100 })
    const { identity: first } = await store.create(device('claimed-id', 1))
    await store.update(first, { publicKey: filled(32, 9), ip: first.ip })
    const wanted = archived('claimed-id', 2)
    const stale = new Map([[first.id, first]])
    expect(await importPatiently(connection, [wanted], { replace: stale })).toMatchObject([{ outcome: 'other' }])
    const now = await store.find(first.id)
    if (!now) throw new Error('claimed-id is missing')
    expect(now.publicKey).toEqual(filled(32, 9))
    const fresh = new Map([[now.id, now]])
    expect(await importPatiently(connection, [wanted], { replace: fresh })).toMatchObject([{ outcome: 'replaced' }])
    expect(await importPatiently(connection, [wanted], { replace: fresh })).toMatchObject([{ outcome: 'same' }])
    expect(await store.find(now.id)).toMatchObject({ uuid: filled(36, 2), standing: 'certain' })
    await store.close()
  })

  it('does not outdo the younger key that a node remembers when Redis has lost it', async () => {
    const store = await RedisIdentityStore.open(connection, { maxDevices: 100 })
    const old = archived('a-device', 1)
    await importPatiently(connection, [old])
    const before = await store.find(old.id)
    if (!before) throw new Error('a-device is missing')
    await store.update(before, { publicKey: filled(32, 2), ip: before.ip })
    await redis.restart('empty')
    const other = await RedisConnection.open(redisSettings(redis.url))
    await importPatiently(other, [old])
    other.close()
    await until(() => store.isReady, 'Redis is up again')
    expect((await store.find(old.id))?.publicKey).toEqual(filled(32, 2))
    expect((await exported(connection))[0]?.publicKey).toEqual(filled(32, 2))
    await store.close()
  })

  it('is looked at beforehand without writing anything, not even the epoch', async () => {
    const looking = await RedisConnection.open(redisSettings(redis.url, { prefix: 'untouched:' }), { epoch: 'leave' })
    expect(await checkRedisItself(looking)).toEqual([])
    expect(await readServerKey(looking)).toBeUndefined()
    for await (const { outcome } of new RedisIdentityArchive(looking).inspect([archived('a-device')]))
      expect(outcome).toBe('created')
    const [keys] = (await looking.primaries[0]?.send([{ name: 'KEYS', args: ['untouched:*'] }])) ?? []
    expect(keys).toEqual([])
    looking.close()
  })

  it('is not exported half when Redis goes away meanwhile', async () => {
    await importPatiently(connection, fleet(3_000))
    const exporting = async () => {
      for await (const _ of exportCompletely(connection)) await redis.restart()
    }
    await expect(exporting()).rejects.toThrow(/run the export again|Redis/)
  })

  it('leaves nothing behind that no replica has', async () => {
    const replica = await startRedisServer('--replicaof', '127.0.0.1', String(redis.port))
    const [lane] = connection.primaries
    const replicas = async () => String((await lane?.send([{ name: 'INFO', args: ['replication'] }]))?.[0])
    await until(async () => (await replicas()).includes('state=online'), 'the replica has joined')
    const watched = await RedisConnection.open(redisSettings(redis.url))
    replica.pause()
    const identities = fleet(1_000)
    await expect(importPatiently(watched, identities, { patienceMs: 0 })).rejects.toThrow(
      /^stopped after 0 of 1000 devices: no replica of .* run the same import again$/,
    )
    expect(await exported(watched)).toEqual([])
    replica.resume()
    expect(await importPatiently(watched, identities)).toHaveLength(1_000)
    expect(await exported(watched)).toHaveLength(1_000)
    watched.close()
    await replica.stop()
  })

  it('spreads over the primaries of a Cluster, and is exported from all of them', async () => {
    const cluster = await startRedisCluster()
    const [first] = cluster.primaries
    const settings = redisSettings(first?.url ?? '', { cluster: cluster.addresses })
    const spread = await RedisConnection.open(settings)
    const identities = fleet(2_000)
    const imported = await importPatiently(spread, identities)
    expect(imported.every(({ outcome }) => outcome === 'created')).toBe(true)
    spread.close()
    const looking = await RedisConnection.open(settings, { epoch: 'leave' })
    expect(await exported(looking)).toEqual([...identities].sort(byId))
    looking.close()
    await cluster.stop()
  })
})
