import { describe, it } from '@jest/globals'
import { accessStoreContract } from '@tryst/rendezvous/contract'
import { RedisAccessStore, RedisConnection } from '../src/index.ts'
import { startTestRedis, whyNoRedis } from './redis-fixture.ts'
import { startSlowWire } from './slow-wire.ts'

if (whyNoRedis) describe.skip(`access in Redis (skipped: ${whyNoRedis})`, () => it('keeps the contract', () => {}))
else
  accessStoreContract('RedisAccessStore', async () => {
    const redis = await startTestRedis()
    const at = new URL(redis.url)
    const wire = await startSlowWire({ host: at.hostname, port: Number(at.port || 6379) })
    at.hostname = '127.0.0.1'
    at.port = String(wire.port)
    const settings = { ...redis.settings(), url: at.href }
    const connections: RedisConnection[] = []
    return {
      open: async () => {
        const connection = await RedisConnection.open(settings)
        connections.push(connection)
        return new RedisAccessStore(connection)
      },
      interrupt: async () => {
        wire.block()
        return async () => wire.unblock()
      },
      dispose: async () => {
        for (const connection of connections) connection.close()
        wire.close()
        await redis.stop()
      },
    }
  })
