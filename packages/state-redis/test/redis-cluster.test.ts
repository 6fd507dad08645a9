import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { PeerId } from '@tryst/rendezvous'
import { accessStoreContract, identityStoreContract } from '@tryst/rendezvous/contract'
import { RedisAccessStore, RedisConnection, type RedisEvent, RedisIdentityStore } from '../src/index.ts'
import { device } from './devices.ts'
import { type ClusterServers, startRedisCluster } from './redis-cluster-servers.ts'
import { redisSettings } from './redis-fixture.ts'
import { whyNoRedisServer } from './redis-server.ts'
import { until } from './until.ts'

const [suite, name] = whyNoRedisServer
  ? [describe.skip, `a Redis Cluster (skipped: ${whyNoRedisServer})`]
  : [describe, 'a Redis Cluster']

suite(name, () => {
  let servers: ClusterServers
  let prefixes = 0

  beforeAll(async () => {
    servers = await startRedisCluster()
  })

  afterAll(() => servers.stop())

  accessStoreContract('RedisAccessStore', async () => {
    const settings = redisSettings('redis://', { cluster: servers.addresses, prefix: `test-${prefixes++}:` })
    const connection = await RedisConnection.open(settings)
    return { open: async () => new RedisAccessStore(connection), dispose: async () => connection.close() }
  })

  identityStoreContract('RedisIdentityStore', async () => {
    const settings = redisSettings('redis://', { cluster: servers.addresses, prefix: `test-${prefixes++}:` })
    const connection = await RedisConnection.open(settings)
    const stores: RedisIdentityStore[] = []
    return {
      open: async () => {
        const store = await RedisIdentityStore.open(connection, { maxDevices: 10_000 })
        stores.push(store)
        return store
      },
      interruptWrites: async () => {
        for (const server of servers.primaries) server.pause()
        return async () => {
          for (const server of servers.primaries) server.resume()
          const areUp = () =>
            connection.primaries.every(({ state }) => state === 'up') && connection.primaries.length === 3
          await until(() => areUp() && stores.every(({ isReady }) => isReady), 'Redis is up again')
        }
      },
      dispose: async () => {
        for (const store of stores) await store.close()
        connection.close()
      },
    }
  })
})

suite(`${name} with a replica`, () => {
  it('notices that a shard fails over, and loses nothing that was acknowledged', async () => {
    const servers = await startRedisCluster({ withReplica: true })
    const connection = await RedisConnection.open(redisSettings('redis://', { cluster: servers.addresses }))
    const store = await RedisIdentityStore.open(connection, { maxDevices: 10_000 })
    const events: RedisEvent['kind'][] = []
    connection.onChange(({ kind }) => events.push(kind))
    try {
      const devices = Array.from({ length: 500 }, (_, index) => device(`device-${index}`, index % 256))
      await Promise.all(devices.map((each) => store.create(each)))
      await servers.primaries[0]?.kill()
      const accepted: string[] = []
      await until(async () => {
        const id = `later-${accepted.length}`
        const answers = await Promise.allSettled(devices.map(({ id }) => store.find(id)))
        await store.create(device(id)).then(
          () => accepted.push(id),
          () => {},
        )
        return answers.every((answer) => answer.status === 'fulfilled') && events.includes('lost-data-suspected')
      }, 'the replica has taken over')
      for (const { id, uuid } of devices) expect((await store.find(id))?.uuid).toEqual(uuid)
      for (const id of accepted) expect(await store.find(id as PeerId)).toBeDefined()
    } finally {
      await store.close()
      connection.close()
      await servers.stop()
    }
  }, 60_000)
})
