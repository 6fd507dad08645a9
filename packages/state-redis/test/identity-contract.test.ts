import { describe, it } from '@jest/globals'
import { identityStoreContract } from '@tryst/rendezvous/contract'
import { RedisConnection, RedisIdentityStore } from '../src/index.ts'
import { startTestRedis, whyNoRedis } from './redis-fixture.ts'
import { startSlowWire } from './slow-wire.ts'
import { until } from './until.ts'

if (whyNoRedis) describe.skip(`identities in Redis (skipped: ${whyNoRedis})`, () => it('keeps the contract', () => {}))
else
  identityStoreContract('RedisIdentityStore', async () => {
    const redis = await startTestRedis()
    const at = new URL(redis.url)
    const wire = await startSlowWire({ host: at.hostname, port: Number(at.port || 6379) })
    at.hostname = '127.0.0.1'
    at.port = String(wire.port)
    const settings = { ...redis.settings(), url: at.href }
    const connection = await RedisConnection.open(settings)
    const stores: RedisIdentityStore[] = []
    return {
      open: async () => {
        const store = await RedisIdentityStore.open(connection, { maxDevices: 10_000 })
        stores.push(store)
        return store
      },
      interruptWrites: async () => {
        wire.block()
        return async () => {
          wire.unblock()
          await until(() => stores.every(({ isReady }) => isReady), 'Redis is up again')
        }
      },
      dispose: async () => {
        for (const store of stores) await store.close()
        connection.close()
        wire.close()
        await redis.stop()
      },
    }
  })
