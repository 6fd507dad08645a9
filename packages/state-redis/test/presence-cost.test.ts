import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { PeerId } from '@tryst/rendezvous'
import { LinkHub } from './link-hub.ts'
import { startTestRedis, type TestRedis, whyNoRedis } from './redis-fixture.ts'
import { TestNode } from './test-node.ts'

const [suite, name] = whyNoRedis
  ? [describe.skip, `what presence costs (skipped: ${whyNoRedis})`]
  : [describe, 'what presence costs']

const DEVICES = 10_000
const WATCHED_MS = 8_000

suite(name, () => {
  let redis: TestRedis
  let hub: LinkHub
  let first: TestNode
  let second: TestNode

  beforeAll(async () => {
    redis = await startTestRedis()
    hub = new LinkHub()
    const settings = redis.settings()
    first = await TestNode.join(hub, settings, { name: 'a' })
    second = await TestNode.join(hub, settings, { name: 'b' })
    await first.node.renew()
  })

  afterAll(async () => {
    await first.leave()
    await second.leave()
    await redis.stop()
  })

  async function commandsOf(node: TestNode, work: () => Promise<unknown>): Promise<number> {
    const before = node.connection.counters.commands
    await work()
    return node.connection.counters.commands - before
  }

  it('is less than two commands a second for 10,000 devices that stay where they are', async () => {
    const ids = Array.from({ length: DEVICES }, (_, index) => String(100_000_000 + index) as PeerId)
    for (let at = 0; at < DEVICES; at += 1_000)
      await Promise.all(ids.slice(at, at + 1_000).map((id) => first.hear(id, '192.0.2.1')))
    const wait = () => new Promise((resolve) => setTimeout(resolve, WATCHED_MS))
    const commands = await commandsOf(first, wait)
    expect(commands).toBeGreaterThan(WATCHED_MS / 2_000)
    expect(commands / (WATCHED_MS / 1_000)).toBeLessThan(2)
  })

  it('is one command for a claim, a release, a look-up, a waiting initiator and an answer', async () => {
    const id = '987654321' as PeerId
    // So that no renewal falls in between.
    await first.node.renew()
    await second.node.renew()
    // Redis gets to know the scripts.
    await second.hear('1' as PeerId, '192.0.2.1')
    await second.lose('1' as PeerId)
    await second.cluster.awaitAnswers('192.0.2.8')
    expect(await commandsOf(second, () => second.hear(id, '192.0.2.1'))).toBe(1)
    expect(await commandsOf(first, () => first.locate(id))).toBe(1)
    expect(await commandsOf(first, async () => first.cluster.awaitAnswers('192.0.2.9'))).toBe(1)
    expect(await commandsOf(first, async () => first.cluster.awaitAnswers('192.0.2.9'))).toBe(0)
    expect(await commandsOf(second, () => second.lose(id))).toBe(1)
  })

  it('is a share of the queue for lists of devices, so that controllers and leases find room', async () => {
    const list = Array.from({ length: 9_000 }, (_, index) => String(200_000_000 + index) as PeerId)
    const found = first.cluster.locate(list)
    expect(first.connection.queued).toBeLessThanOrEqual(1_100)
    expect(await found).toHaveLength(list.length)
    const lists = Array.from({ length: 60 }, () => first.cluster.locate(list.slice(0, 100)))
    const outcomes = await Promise.allSettled(lists)
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(40)
    expect(await first.cluster.locate(list.slice(0, 100))).toHaveLength(100)
  })
})
