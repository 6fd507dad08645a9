import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { StoreUnavailableError } from '@tryst/rendezvous'
import { Redis } from 'ioredis'
import type { ClientOptions } from '../src/client-options.ts'
import { defineScript, RedisConnection, RedisUnreachableError } from '../src/index.ts'
import { redisSettings, startTestRedis, type TestRedis, whyNoRedis } from './redis-fixture.ts'
import { until } from './until.ts'

const [suite, name] = whyNoRedis
  ? [describe.skip, `a connection to Redis (skipped: ${whyNoRedis})`]
  : [describe, 'a connection to Redis']

const COUNT = defineScript('count', `return redis.call('INCRBY', KEYS[1], ARGV[2])`)

suite(name, () => {
  let redis: TestRedis
  let connection: RedisConnection

  beforeAll(async () => {
    redis = await startTestRedis()
  })

  afterAll(() => redis.stop())
  afterEach(() => connection?.close())

  it('runs scripts, also those that Redis does not know yet', async () => {
    connection = await RedisConnection.open(redis.settings())
    const key = connection.keys.session('a')
    const unknown = defineScript('unknown', `-- ${Math.random()}\nreturn {KEYS[1], ARGV[2]}`)
    expect(await connection.run({ script: unknown, keys: [key], args: ['ä'] })).toEqual([key, 'ä'])
    const calls = [1, 2, 3].map((by) => ({ script: COUNT, keys: [key], args: [by] }))
    expect(await connection.runAll(calls)).toEqual([1, 3, 6])
  })

  it('gives bytes back as they were', async () => {
    connection = await RedisConnection.open(redis.settings())
    const key = connection.keys.session('a')
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
    await connection.command({ key, name: 'SET', args: [key, bytes] })
    const read = await connection.command({ key, name: 'GET', args: [key], replies: 'bytes' })
    expect(Uint8Array.from(read as Buffer)).toEqual(bytes)
  })

  it('knows what Redis says the time is', async () => {
    connection = await RedisConnection.open(redis.settings())
    const key = connection.keys.epoch()
    const [seconds] = (await connection.command({ key, name: 'TIME', args: [] })) as string[]
    expect(Math.abs(connection.nowMs() / 1000 - Number(seconds))).toBeLessThan(1.5)
  })

  it('runs no script whose deadline has passed', async () => {
    connection = await RedisConnection.open(redis.settings())
    const key = connection.keys.session('late')
    await expect(connection.run({ script: COUNT, keys: [key], args: [1] }, 10)).rejects.toThrow(StoreUnavailableError)
    expect(await connection.command({ key, name: 'GET', args: [key] })).toBeNull()
  })

  it('connects again where the client has given up for good', async () => {
    const clients: Redis[] = []
    const createClient = (options: ClientOptions) => {
      const client = new Redis(options)
      clients.push(client)
      return client
    }
    connection = await RedisConnection.open({ ...redis.settings(), createClient })
    const [client] = clients as [Redis]
    client.disconnect()
    await until(() => connection.state === 'away', 'Redis is away')
    await until(() => connection.state === 'up', 'Redis is back')
    const key = connection.keys.epoch()
    expect(await connection.command({ key, name: 'PING', args: [] })).toBe('PONG')
  })

  it('says why Redis cannot be reached', async () => {
    const opening = RedisConnection.open(redisSettings('redis://127.0.0.1:1'), { timeoutMs: 300 })
    await expect(opening).rejects.toThrow(RedisUnreachableError)
    await expect(opening).rejects.toThrow(/ECONNREFUSED/)
  })

  it('refuses what would make its queue too long, and counts it', async () => {
    connection = await RedisConnection.open(redis.settings({ maxQueuedCommands: 10 }))
    const key = connection.keys.session('a')
    const command = { key, name: 'GET', args: [key] }
    const outcomes = await Promise.allSettled(Array.from({ length: 15 }, () => connection.command(command)))
    expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBe(10)
    expect(connection.counters.refusedQueueFull).toBe(5)
    expect(await connection.command(command)).toBeNull()
  })

  it('has room in a full queue for what the node lives by', async () => {
    connection = await RedisConnection.open(redis.settings({ maxQueuedCommands: 10 }))
    const key = connection.keys.session('vital')
    const flood = Array.from({ length: 10 }, () => connection.command({ key, name: 'GET', args: [key] }))
    const renewing = connection.run({ script: COUNT, keys: [key], args: [1], isVital: true })
    await expect(connection.run({ script: COUNT, keys: [key], args: [1] })).rejects.toThrow(StoreUnavailableError)
    expect(await renewing).toBe(1)
    await Promise.all(flood)
  })
})
