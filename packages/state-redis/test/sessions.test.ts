import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { sessionBrokerContract } from '@tryst/relay/contract'
import { type NodeId, type PeerId, StoreUnavailableError } from '@tryst/rendezvous'
import { NodeAnswers, RedisConnection, RedisNode, RedisSessions, RedisTickets } from '../src/index.ts'
import { LEAVE_SESSION, MEET } from '../src/session-scripts.ts'
import { LinkHub } from './link-hub.ts'
import { redisSettings, startTestRedis, type TestRedis, whyNoRedis } from './redis-fixture.ts'
import { type OwnRedis, startRedisServer } from './redis-server.ts'

const [suite, name] = whyNoRedis
  ? [describe.skip, `sessions in Redis (skipped: ${whyNoRedis})`]
  : [describe, 'sessions in Redis']

const DEVICE = '123456789' as PeerId
const LEASE_MS = 600

interface TestRelay {
  readonly connection: RedisConnection
  readonly node: RedisNode
  readonly sessions: RedisSessions
}

async function openRelays(
  settings: Parameters<typeof RedisConnection.open>[0],
  { count = 3, requiresTickets = true } = {},
): Promise<TestRelay[]> {
  const hub = new LinkHub()
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const connection = await RedisConnection.open(settings)
      const facts = { role: 'relay', name: `r${index}`, address: `r${index}:1`, version: '1' } as const
      const node = new RedisNode(connection, facts)
      await node.start()
      const links = hub.enter(node.incarnation, new NodeAnswers())
      return { connection, node, sessions: new RedisSessions({ connection, node, links, requiresTickets }) }
    }),
  )
}

async function close(relays: readonly TestRelay[]): Promise<void> {
  for (const { connection, node, sessions } of relays) {
    sessions.close()
    await node.withdraw()
    connection.close()
  }
}

suite(name, () => {
  let redis: TestRedis

  beforeAll(async () => {
    redis = await startTestRedis()
  })
  afterAll(() => redis.stop())

  sessionBrokerContract('RedisSessions', async () => {
    const relays = await openRelays(redis.settings())
    const relayOf = (number: number) => relays[number - 1] as TestRelay
    const tickets = new RedisTickets(relayOf(1).connection)
    return {
      relay: (number) => ({ node: relayOf(number).node.incarnation, broker: relayOf(number).sessions }),
      issue: (uuid, device) => tickets.issue(uuid, device as PeerId),
      settled: async () => {
        for (const { sessions } of relays) await sessions.settled()
      },
      dispose: () => close(relays),
    }
  })

  describe('of relays that die', () => {
    let relays: TestRelay[]
    let first: TestRelay
    let second: TestRelay

    beforeEach(async () => {
      relays = await openRelays(redis.settings({ nodeLeaseMs: LEASE_MS }))
      ;[first, second] = relays as [TestRelay, TestRelay]
      await new RedisTickets(first.connection).issue('a', DEVICE)
    })
    afterEach(() => close(relays))

    const half = (name: string) => ({ uuid: 'a', name, device: '' })

    it('lets the next half wait in place of one whose relay is dead', async () => {
      await first.sessions.meet(half('b'))
      await first.node.withdraw()
      await second.node.renew()
      expect(await second.sessions.meet(half('a'))).toEqual({ kind: 'wait', device: DEVICE })
    })

    it('frees the half that was to be joined from a relay that is dead', async () => {
      await second.sessions.meet(half('b'))
      await first.sessions.meet(half('a'))
      await first.node.withdraw()
      const third = relays[2] as TestRelay
      await third.node.renew()
      const { incarnation } = second.node
      expect(await third.sessions.meet(half('c'))).toEqual({ kind: 'join', node: incarnation, half: 'b' })
    })
  })

  it('lets a ticket lapse 60 s after its first issue, whatever halves do', async () => {
    const [relay] = (await openRelays(redis.settings(), { count: 1 })) as [TestRelay]
    const { connection, sessions } = relay
    const key = connection.keys.session('a')
    const lifetimeMs = async () => Number(await connection.command({ key, name: 'PTTL', args: [key] }))
    const tickets = new RedisTickets(connection)
    await tickets.issue('a', DEVICE)
    await connection.command({ key, name: 'PEXPIRE', args: [key, 1_000] })
    await sessions.meet({ uuid: 'a', name: 'x', device: DEVICE })
    await tickets.issue('a', DEVICE)
    sessions.met('a')
    await sessions.settled()
    expect(await lifetimeMs()).toBeGreaterThan(0)
    expect(await lifetimeMs()).toBeLessThanOrEqual(1_000)
    await connection.command({ key, name: 'PEXPIRE', args: [key, 1] })
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(await sessions.meet({ uuid: 'a', name: 'y', device: '' })).toEqual({ kind: 'no-ticket' })
    await close([relay])
  })

  it('serves halves that nobody introduced where no tickets are asked for, and their name again later', async () => {
    const relays = await openRelays(redis.settings(), { count: 2, requiresTickets: false })
    const [first, second] = relays as [TestRelay, TestRelay]
    for (const round of ['1', '2']) {
      expect(await first.sessions.meet({ uuid: 'a', name: `b${round}`, device: '' })).toEqual({
        kind: 'wait',
        device: undefined,
      })
      expect(await second.sessions.meet({ uuid: 'a', name: `a${round}`, device: DEVICE })).toMatchObject({
        kind: 'join',
        half: `b${round}`,
      })
      second.sessions.met('a')
      await second.sessions.settled()
    }
    await close(relays)
  })

  it('is not disturbed by a second run of a step', async () => {
    const [{ connection }] = (await openRelays(redis.settings(), { count: 1 })) as [TestRelay]
    await new RedisTickets(connection).issue('a', DEVICE)
    const keys = [connection.keys.session('a')]
    const meet = (relay: string, half: string) =>
      connection.run({ script: MEET, keys, args: [relay, half, '', 1, 60_000, '', ''] })
    const leave = (relay: string, half: string) => connection.run({ script: LEAVE_SESSION, keys, args: [relay, half] })
    const twice = async <T>(step: () => Promise<T>) => {
      const answer = await step()
      expect(await step()).toEqual(answer)
      return answer
    }
    expect(await twice(() => meet('r1', 'b'))).toEqual(['wait', DEVICE, '', ''])
    await twice(() => leave('r1', 'b'))
    expect(await twice(() => meet('r2', 'a'))).toEqual(['wait', DEVICE, '', ''])
    await leave('r1', 'b')
    expect(await twice(() => meet('r1', 'c'))).toEqual(['join', DEVICE, 'r2', 'a'])
    await twice(() => leave('r1', 'c'))
    await leave('r2', 'x')
    expect(await meet('r1', 'd')).toEqual(['join', DEVICE, 'r2', 'a'])
    connection.close()
  })

  it('pairs halves that come to different relays at the same moment, 300 times', async () => {
    const relays = await openRelays(redis.settings(), { count: 2 })
    const [first, second] = relays as [TestRelay, TestRelay]
    const tickets = new RedisTickets(first.connection)
    for (let round = 0; round < 300; round++) {
      const uuid = `session ${round}`
      await tickets.issue(uuid, DEVICE)
      const meetings = await Promise.all([
        first.sessions.meet({ uuid, name: '1', device: DEVICE }),
        second.sessions.meet({ uuid, name: '1', device: '' }),
      ])
      expect(meetings.map(({ kind }) => kind).sort()).toEqual(['join', 'wait'])
    }
    await close(relays)
  })

  it('asks ID servers for tickets', async () => {
    const settings = redis.settings()
    const [relay] = (await openRelays(settings, { count: 1 })) as [TestRelay]
    const connection = await RedisConnection.open(settings)
    const facts = { role: 'id-server', name: 'n', address: 'n:1', version: '1' } as const
    const idServer = new RedisNode(connection, facts)
    const asking = (ticketFor: (target: { incarnation: NodeId }) => Promise<string | undefined>) =>
      new RedisSessions({ ...relay, links: { ticketFor }, requiresTickets: true }).askIntroduced('a')
    expect(await asking(async () => DEVICE)).toEqual({ kind: 'nobody-answers' })
    await idServer.start()
    await relay.node.renew()
    expect(await asking(async () => DEVICE)).toEqual({ kind: 'introduced', device: DEVICE })
    expect(await asking(async () => undefined)).toEqual({ kind: 'unknown' })
    expect(await asking(() => Promise.reject(new Error('unreachable')))).toEqual({ kind: 'nobody-answers' })
    await idServer.withdraw()
    connection.close()
    await close([relay])
  })

  it('says so when Redis is away, and tells it of sessions that are over when it is back', async () => {
    const server: OwnRedis = await startRedisServer()
    const [relay] = (await openRelays(redisSettings(server.url, { nodeLeaseMs: LEASE_MS }), { count: 1 })) as [
      TestRelay,
    ]
    const tickets = new RedisTickets(relay.connection)
    await tickets.issue('a', DEVICE)
    server.pause()
    expect(await relay.sessions.meet({ uuid: 'a', name: 'x', device: '' })).toEqual({ kind: 'unavailable' })
    await expect(tickets.issue('b', DEVICE)).rejects.toThrow(StoreUnavailableError)
    relay.sessions.met('a')
    await relay.sessions.settled()
    server.resume()
    for (;;) {
      const { kind } = await relay.sessions.meet({ uuid: 'a', name: 'x', device: '' })
      if (kind === 'used') break
      expect(['unavailable', 'wait']).toContain(kind)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await close([relay])
    await server.stop()
  })
})
