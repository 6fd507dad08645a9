import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { PeerId } from '@tryst/rendezvous'
import fc from 'fast-check'
import { NodeAnswers, RedisCluster, RedisConnection, RedisNode } from '../src/index.ts'
import { LinkHub } from './link-hub.ts'
import { startTestRedis, type TestRedis, whyNoRedis } from './redis-fixture.ts'
import { Gates, gated, type Verdict } from './scheduler.ts'
import { TestNode } from './test-node.ts'

const [suite, name] = whyNoRedis
  ? [describe.skip, `nodes in any order of events (skipped: ${whyNoRedis})`]
  : [describe, 'nodes in any order of events']

/** Long enough that no lease lapses in these tests. */
const LEASE_MS = 60_000
const DEVICES = 2
const NODES = 2
const RUNS = 60
const LONGEST_MS = 15_000

type Action =
  | { readonly kind: 'hear' | 'lose'; readonly node: number; readonly device: number }
  | { readonly kind: 'go on'; readonly which: number; readonly verdict: Verdict }
  | { readonly kind: 'lose data' }

const node = fc.nat(NODES - 1)
const device = fc.nat(DEVICES - 1)
const goOn = (verdict: Verdict) =>
  fc.record({ kind: fc.constant('go on' as const), which: fc.nat(20), verdict: fc.constant(verdict) })
const hear: fc.Arbitrary<Action> = fc.record({ kind: fc.constant('hear' as const), node, device })
const lose: fc.Arbitrary<Action> = fc.record({ kind: fc.constant('lose' as const), node, device })
const lossOfData: fc.Arbitrary<Action> = fc.constant({ kind: 'lose data' })

suite(name, () => {
  let redis: TestRedis
  let connections: RedisConnection[]
  let nodes: TestNode[]
  let emits: ReturnType<typeof gated>['emit'][]
  const gates = new Gates()
  let runs = 0

  beforeAll(async () => {
    redis = await startTestRedis()
    const settings = redis.settings({ nodeLeaseMs: LEASE_MS, commandTimeoutMs: 5_000 })
    const hub = new LinkHub()
    hub.delay = () => gates.enter()
    connections = []
    nodes = []
    emits = []
    for (let index = 0; index < NODES; index++) {
      const real = await RedisConnection.open(settings)
      const { connection, emit } = gated(real, gates)
      const facts = { role: 'id-server', name: `n${index}`, address: `n${index}:1`, version: '1' } as const
      const node = new RedisNode(connection, facts)
      const answers = new NodeAnswers()
      const links = hub.enter(node.incarnation, answers)
      const opened = new TestNode(hub, real, node, new RedisCluster({ connection, node, links, answers }))
      await opened.cluster.join(opened)
      connections.push(real)
      nodes.push(opened)
      emits.push(emit)
    }
    for (const { node } of nodes) await node.renew()
  })

  afterAll(async () => {
    gates.isOpen = true
    for (const node of nodes) await node.leave()
    await redis.stop()
  })

  const presenceOf = async (id: PeerId) => {
    const [connection] = connections as [RedisConnection]
    const key = connection.keys.presence(id)
    const [owner] = (await connection.command({ key, name: 'HMGET', args: [key, 'o'] })) as [string | null]
    return owner
  }

  async function loseData(ids: readonly PeerId[]): Promise<void> {
    const [connection] = connections as [RedisConnection]
    for (const id of ids) {
      const key = connection.keys.presence(id)
      await connection.command({ key, name: 'DEL', args: [key] })
    }
    for (const emit of emits) emit({ kind: 'lost-data-suspected', reason: 'the scheduler says so' })
  }

  async function take(action: Action, ids: readonly PeerId[]): Promise<void> {
    switch (action.kind) {
      case 'hear':
        nodes[action.node]?.hear(ids[action.device] as PeerId, `192.0.2.${action.node}`).catch(() => {})
        return gates.quiet()
      case 'lose': {
        const id = ids[action.device] as PeerId
        const here = nodes[action.node]
        // A node can only lose what it holds.
        if (here?.holds(id) !== undefined) here.lose(id).catch(() => {})
        return gates.quiet()
      }
      case 'go on':
        return gates.release(action.which, action.verdict)
      case 'lose data':
        await loseData(ids)
        return gates.quiet()
      default:
        return action satisfies never
    }
  }

  /** Everything that was under way ends, and what failed is tried again until it is made good. */
  async function finish(): Promise<void> {
    for (let round = 0; round < 5; round++) {
      while (gates.waiting > 0) await gates.release(0, 'pass')
      for (const { node } of nodes) await node.renew()
      await gates.quiet()
    }
    while (gates.waiting > 0) await gates.release(0, 'pass')
  }

  async function run(actions: readonly Action[]): Promise<void> {
    const ids = Array.from({ length: DEVICES }, (_, index) => `run-${runs}-${index}` as PeerId)
    runs++
    try {
      for (const action of actions) await take(action, ids)
    } finally {
      await finish()
    }
    for (const [index, id] of ids.entries()) {
      const holders = nodes.filter((node) => node.holds(id) !== undefined).map(({ node }) => node.incarnation)
      const owner = await presenceOf(id)
      // Whom Redis names holds the device, and nobody else does.
      expect({ id, holders }).toEqual({ id, holders: owner === null ? [] : [owner] })
      const own = actions.filter(
        (action) => (action.kind === 'hear' || action.kind === 'lose') && action.device === index,
      )
      const isHeard = own.length > 0 && own.every(({ kind }) => kind === 'hear')
      // Nobody lets go of a device that no other node holds.
      if (isHeard) expect({ id, holders }).toEqual({ id, holders: [expect.any(String)] })
    }
    for (const node of nodes) for (const id of ids) if (node.holds(id) !== undefined) node.lose(id).catch(() => {})
    await gates.quiet()
    await finish()
  }

  const anyOrder = async (weights: fc.WeightedArbitrary<Action>[]) => {
    const actions = fc.array(fc.oneof(...weights), { minLength: 10, maxLength: 80 })
    await fc.assert(fc.asyncProperty(actions, run), {
      numRuns: RUNS,
      endOnFailure: false,
      interruptAfterTimeLimit: LONGEST_MS,
    })
  }

  it('name one owner, which holds the device', () =>
    anyOrder([
      { arbitrary: hear, weight: 3 },
      { arbitrary: goOn('pass'), weight: 6 },
    ]))

  it('name one owner when devices fall silent', () =>
    anyOrder([
      { arbitrary: hear, weight: 3 },
      { arbitrary: lose, weight: 1 },
      { arbitrary: goOn('pass'), weight: 6 },
    ]))

  it('name one owner when commands and messages are lost', () =>
    anyOrder([
      { arbitrary: hear, weight: 3 },
      { arbitrary: goOn('pass'), weight: 6 },
      { arbitrary: goOn('fail'), weight: 2 },
    ]))

  it('name one owner when Redis loses its data again and again', () =>
    anyOrder([
      { arbitrary: hear, weight: 6 },
      { arbitrary: goOn('pass'), weight: 12 },
      { arbitrary: lossOfData, weight: 1 },
    ]))

  it('name one owner when all of this happens', () =>
    anyOrder([
      { arbitrary: hear, weight: 6 },
      { arbitrary: lose, weight: 2 },
      { arbitrary: goOn('pass'), weight: 12 },
      { arbitrary: goOn('fail'), weight: 2 },
      { arbitrary: lossOfData, weight: 1 },
    ]))
})
