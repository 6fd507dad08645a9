import { afterEach, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { RedisConnection, RedisIdentityStore, recheckRedis } from '../src/index.ts'
import type { RedisSettings } from '../src/settings.ts'
import { device } from './devices.ts'
import { redisSettings } from './redis-fixture.ts'
import { type OwnRedis, startRedisServer, untilReplicating, whyNoRedisServer } from './redis-server.ts'
import { until } from './until.ts'

const [suite, name] = whyNoRedisServer
  ? [describe.skip, `a replica that is taken away (skipped: ${whyNoRedisServer})`]
  : [describe, 'a replica that is taken away']

suite(name, () => {
  const ends: (() => unknown)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  async function start(changes: Partial<RedisSettings> = {}) {
    const primary = await own()
    const replica = await own('--replicaof', '127.0.0.1', String(primary.port))
    await untilReplicating(primary, 1)
    const settings = redisSettings(primary.url, { lookIntervalMs: 300, ...changes })
    const connection = await RedisConnection.open(settings)
    ends.push(() => connection.close())
    const store = await RedisIdentityStore.open(connection, { maxDevices: 100 })
    ends.push(() => store.close())
    let count = 0
    const create = () => store.create(device(`new-${++count}`, count))
    expect(await create()).toBeDefined()
    return { primary, replica, connection, create }
  }

  async function own(...options: string[]): Promise<OwnRedis> {
    const server = await startRedisServer(...options)
    ends.push(() => server.stop())
    return server
  }

  async function detach(replica: OwnRedis): Promise<void> {
    const redis = new Redis(replica.url)
    await redis.call('REPLICAOF', 'NO', 'ONE')
    redis.disconnect()
  }

  it('is waited for until it has been gone for long, and is not missed then', async () => {
    const { replica, connection, create } = await start({ replicasRemovedAfterMs: 3_000 })
    await detach(replica)
    await expect(create()).rejects.toThrow(/no replica of Redis has received it/)
    await until(() => connection.primaries[0]?.replicas.wereRemoved === true, 'it counts as removed')
    // The store has a connection of its own for what is waited for.
    const isAccepted = () =>
      create().then(
        () => true,
        () => false,
      )
    await until(isAccepted, 'a new device is accepted')
    expect(await recheckRedis(connection)).toEqual([
      { severity: 'warning', text: expect.stringMatching(/had replicas and has had none .*REDIS_REQUIRE_REPLICA=Y/) },
    ])
  })

  it('is waited for all the time where that was asked for', async () => {
    const { replica, connection, create } = await start({ replicasRemovedAfterMs: 1_000, requireReplica: true })
    await detach(replica)
    await until(() => connection.primaries[0]?.replicas.wereRemoved === true, 'it counts as removed')
    await expect(create()).rejects.toThrow(/no replica of Redis has received it/)
  })
})
