import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { RedisConnection, RedisIdentityStore } from '../src/index.ts'
import { device } from './devices.ts'
import { startTestRedis, type TestRedis, whyNoRedis } from './redis-fixture.ts'
import { until } from './until.ts'

const [suite, name] = whyNoRedis
  ? [describe.skip, `a device that was removed (skipped: ${whyNoRedis})`]
  : [describe, 'a device that was removed']

suite(name, () => {
  let redis: TestRedis
  beforeAll(async () => {
    redis = await startTestRedis()
  })
  afterAll(() => redis.stop())

  it('is not written back by a node that remembers it, while what Redis has lost is', async () => {
    const settings = redis.settings()
    const connections = [await RedisConnection.open(settings), await RedisConnection.open(settings)] as const
    const node = await RedisIdentityStore.open(connections[0], { maxDevices: 100 })
    const operator = await RedisIdentityStore.open(connections[1], { maxDevices: 100 })
    try {
      const [removed, lost] = [device('123456789'), device('987654321')]
      await node.create(removed)
      await node.create(lost)
      expect(await operator.remove(removed.id)).toBe(true)
      const key = connections[0].keys.peer(lost.id)
      await connections[0].command({ key, name: 'DEL', args: [key] })
      connections[0].suspectLoss('a test')
      await until(async () => (await connections[1].command({ key, name: 'EXISTS', args: [key] })) === 1, 'it is back')
      expect(await operator.find(removed.id)).toBeUndefined()
      expect(await node.find(removed.id)).toBeUndefined()
      const anew = await node.create(device('123456789', 9))
      expect(anew.created).toBe(true)
      expect(await operator.find(removed.id)).toMatchObject({ uuid: anew.identity.uuid })
    } finally {
      await node.close()
      await operator.close()
      for (const connection of connections) connection.close()
    }
  })
})
