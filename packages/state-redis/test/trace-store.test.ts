import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { MAX_TRACE_PARTS, type TracePart } from '@tryst/rendezvous'
import { RedisConnection, RedisTraceStore } from '../src/index.ts'
import { startTestRedis, type TestRedis, whyNoRedis } from './redis-fixture.ts'

const KEEP_MS = 60_000
const partOf = (node: string, atMs: number): TracePart => ({ atMs, node, role: 'id-server', code: 'K7M2QX', steps: [] })

async function readAll(connection: RedisConnection): Promise<TracePart[]> {
  const parts: TracePart[] = []
  for await (const part of new RedisTraceStore(connection, KEEP_MS).read()) parts.push(part)
  return parts
}

const suite = whyNoRedis ? describe.skip : describe

suite(`the trace in Redis${whyNoRedis ? ` (skipped: ${whyNoRedis})` : ''}`, () => {
  let redis: TestRedis
  let connection: RedisConnection

  beforeAll(async () => {
    redis = await startTestRedis()
    connection = await RedisConnection.open(redis.settings())
  })
  afterAll(async () => {
    connection.close()
    await redis.stop()
  })

  it('has what all nodes wrote, the latest first, for as long as it is kept', async () => {
    const key = connection.keys.trace()
    await new RedisTraceStore(connection, KEEP_MS).write([partOf('a', 1), partOf('a', 2)])
    const other = new RedisTraceStore(connection, KEEP_MS)
    await other.write([])
    await other.write([partOf('b', 1)])
    expect(await readAll(connection)).toEqual([partOf('b', 1), partOf('a', 2), partOf('a', 1)])
    expect(Number(await connection.command({ key, name: 'PTTL', args: [key] }))).toBeGreaterThan(KEEP_MS - 10_000)
  })

  it('is bounded, and read in pages', async () => {
    const store = new RedisTraceStore(connection, KEEP_MS)
    for (let written = 0; written < MAX_TRACE_PARTS + 2_000; written += 1_000)
      await store.write(Array.from({ length: 1_000 }, (_, index) => partOf('a', written + index)))
    const parts = await readAll(connection)
    expect(parts.length).toBeGreaterThanOrEqual(MAX_TRACE_PARTS)
    expect(parts.length).toBeLessThan(MAX_TRACE_PARTS + 500)
    expect(parts[0]?.atMs).toBe(MAX_TRACE_PARTS + 1_999)
    expect(parts.at(-1)?.atMs).toBe(MAX_TRACE_PARTS + 2_000 - parts.length)
  })
})
