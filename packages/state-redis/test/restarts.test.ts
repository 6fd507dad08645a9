import { describe, expect, it } from '@jest/globals'
import { RedisConnection, RedisIdentityStore } from '../src/index.ts'
import { device } from './devices.ts'
import { redisSettings } from './redis-fixture.ts'
import { startRedisServer, whyNoRedisServer } from './redis-server.ts'
import { until } from './until.ts'

const [suite, name] = whyNoRedisServer
  ? [describe.skip, `a Redis that comes and goes (skipped: ${whyNoRedisServer})`]
  : [describe, 'a Redis that comes and goes']

const FAULTS = ['killed', 'stopped', 'emptied', 'killed', 'emptied'] as const

suite(name, () => {
  it('costs no identity that two nodes have acknowledged under load, and nobody is taken for another', async () => {
    const server = await startRedisServer()
    const nodes = await Promise.all(
      [1, 2].map(async () => {
        const connection = await RedisConnection.open(redisSettings(server.url))
        return { connection, store: await RedisIdentityStore.open(connection, { maxDevices: 10_000 }) }
      }),
    )
    const [first, second] = nodes
    if (!first || !second) throw new Error('no nodes')
    const acknowledged = new Map<string, number>()
    const contradicted: string[] = []
    let next = 0
    const register = async (number: number) => {
      const { store } = number % 2 === 0 ? first : second
      const { id, ...rest } = device(`device-${number}`, number % 256)
      const found = (await store.find(id)) ?? (await store.create({ id, ...rest })).identity
      if (found.uuid[0] !== number % 256) contradicted.push(id)
      acknowledged.set(id, number % 256)
    }
    const timer = setInterval(() => void register(next++).catch(() => {}), 5)
    try {
      for (const fault of FAULTS) {
        const before = acknowledged.size
        await until(() => acknowledged.size > before + 100, 'devices are registered')
        if (fault === 'killed') await server.restart()
        else if (fault === 'emptied') await server.restart('empty')
        else {
          server.pause()
          await until(() => first.connection.state === 'away', 'Redis is away')
          server.resume()
        }
      }
    } finally {
      clearInterval(timer)
    }
    await until(() => nodes.every(({ store }) => store.isReady), 'Redis is up', 10_000)
    const isStored = async (id: string, value: number) => {
      const key = first.connection.keys.peer(id)
      const uuid = await first.connection.command({ key, name: 'HGET', args: [key, 'uuid'], replies: 'bytes' })
      return Buffer.isBuffer(uuid) && uuid[0] === value
    }
    let missing: string[] = []
    await until(
      async () => {
        const known = await Promise.all([...acknowledged].map(async ([id, value]) => (await isStored(id, value)) || id))
        missing = known.filter((each) => typeof each === 'string')
        return missing.length === 0
      },
      'everything is back',
      10_000,
    ).catch(() => {})
    expect(missing).toEqual([])
    expect(contradicted).toEqual([])
    for (const { store, connection } of nodes) {
      await store.close()
      connection.close()
    }
    await server.stop()
  }, 60_000)
})
