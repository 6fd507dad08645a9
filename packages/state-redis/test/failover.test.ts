import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { PeerId } from '@tryst/rendezvous'
import { Redis } from 'ioredis'
import { RedisConnection, type RedisEvent, RedisIdentityStore } from '../src/index.ts'
import { device, filled } from './devices.ts'
import { redisSettings } from './redis-fixture.ts'
import { MASTER, type SentinelGroup, startSentinelGroup, whyNoSentinel } from './redis-sentinel.ts'
import { type OwnRedis, untilReplicating } from './redis-server.ts'
import { until } from './until.ts'

const [suite, name] = whyNoSentinel
  ? [describe.skip, `a failover by Sentinel (skipped: ${whyNoSentinel})`]
  : [describe, 'a failover by Sentinel']

suite(name, () => {
  let group: SentinelGroup
  let connection: RedisConnection
  let store: RedisIdentityStore
  const events: RedisEvent['kind'][] = []

  beforeEach(async () => {
    group = await startSentinelGroup()
    const sentinels = [{ host: '127.0.0.1', port: group.sentinelPort }]
    connection = await RedisConnection.open(redisSettings('redis://', { sentinels, sentinelName: MASTER }))
    events.length = 0
    connection.onChange(({ kind }) => events.push(kind))
    store = await RedisIdentityStore.open(connection, { maxDevices: 10_000 })
  })

  afterEach(async () => {
    await store.close()
    connection.close()
    await group.stop()
  })

  /** 200 registrations a second until told to stop; the ids that were acknowledged. */
  function registerAllTheTime(prefix: string) {
    const acknowledged = new Map<string, number>()
    const mismatches: string[] = []
    const under: Promise<unknown>[] = []
    let refused = 0
    let next = 0
    const timer = setInterval(() => {
      const number = next++
      const { id, ...rest } = device(`${prefix}-${number}`, number % 256)
      under.push(
        (async () => {
          try {
            const found = await store.find(id)
            const { identity } = found ? { identity: found } : await store.create({ id, ...rest })
            if (identity.uuid[0] !== number % 256 && identity.standing === 'certain') mismatches.push(id)
            acknowledged.set(id, number % 256)
          } catch {
            refused++
          }
        })(),
      )
    }, 5)
    return {
      acknowledged,
      mismatches,
      refused: () => refused,
      stop: async () => {
        clearInterval(timer)
        await Promise.all(under)
      },
    }
  }

  const hasFailedOver = () =>
    connection.state === 'up' && connection.primaries[0]?.remoteAddress !== `127.0.0.1:${group.primary.port}`

  function newPrimary(): OwnRedis {
    const at = connection.primaries[0]?.remoteAddress
    const found = group.replicas.find(({ port }) => at === `127.0.0.1:${port}`)
    if (!found) throw new Error(`the connection leads to ${at}`)
    return found
  }

  async function storedAt(server: OwnRedis): Promise<Map<string, number>> {
    const redis = new Redis(server.url)
    const stored = new Map<string, number>()
    for (const key of await redis.keys('*:peer:*'))
      stored.set(key.replace(/.*:/, ''), (await redis.hgetBuffer(key, 'uuid'))?.[0] ?? -1)
    redis.disconnect()
    return stored
  }

  it.each(['killed', 'stopped'])(
    'loses nothing that was acknowledged when the primary is %s',
    async (how) => {
      const load = registerAllTheTime(how)
      await until(() => load.acknowledged.size > 200, 'some devices are registered')
      if (how === 'killed') await group.primary.kill()
      else group.primary.pause()
      await until(() => connection.state === 'away', 'the primary is taken for away')
      const before = load.acknowledged.size
      await until(() => load.acknowledged.size > before + 400, 'new devices are taken again')
      await load.stop()
      const stored = await storedAt(newPrimary())
      const lost = [...load.acknowledged].filter(([id, value]) => stored.get(id) !== value)
      expect(lost).toEqual([])
      expect(load.mismatches).toEqual([])
      expect(events).toContain('lost-data-suspected')
    },
    60_000,
  )

  it('acknowledges nothing that only a primary has which was cut off from its replicas and Sentinels', async () => {
    const load = registerAllTheTime('partition')
    await until(() => load.acknowledged.size > 200, 'some devices are registered')
    // Whoever is connected stays so; replicas and Sentinels, whose connections are ended, can't come back.
    const primary = new Redis(group.primary.url)
    await primary.config('SET', 'requirepass', 'partition')
    await primary.call('CLIENT', 'KILL', 'TYPE', 'replica')
    const clients = String(await primary.client('LIST')).split('\n')
    for (const line of clients)
      if (/ name=sentinel-/.test(line)) await primary.call('CLIENT', 'KILL', 'ID', /^id=(\d+)/.exec(line)?.[1] ?? '')
    const before = load.acknowledged.size
    await until(() => load.refused() > 20, 'registrations are refused')
    const onlyThere = load.acknowledged.size - before
    await until(() => hasFailedOver(), 'failed over', 30_000)
    await until(() => load.acknowledged.size > before + onlyThere + 200, 'new devices are taken again')
    await load.stop()
    primary.disconnect()
    const stored = await storedAt(newPrimary())
    expect([...load.acknowledged].filter(([id, value]) => stored.get(id) !== value)).toEqual([])
    expect(load.mismatches).toEqual([])
  }, 60_000)

  it('lets no write that the old primary gets late happen', async () => {
    await store.create(device('known'))
    group.primary.pause()
    const late = Array.from({ length: 20 }, (_, index) => store.create(device(`late-${index}`)).catch(() => 'refused'))
    expect(new Set(await Promise.all(late))).toEqual(new Set(['refused']))
    await until(() => hasFailedOver() && store.isReady, 'failed over')
    group.primary.resume()
    await untilReplicating(newPrimary(), 2)
    const stored = await storedAt(newPrimary())
    expect([...stored.keys()].filter((id) => id.startsWith('late'))).toEqual([])
    expect(await store.find('known' as PeerId)).toMatchObject({ uuid: filled(36, 1) })
    expect(await store.create(device('late-1'))).toMatchObject({ created: true })
  }, 60_000)
})
