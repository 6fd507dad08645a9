import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { decodeRendezvous, type Endpoint, encodeRendezvous, type RendezvousMessage, rendezvous } from '@tryst/protocol'
import {
  type ClientConnection,
  DEFAULT_REGISTRATION_LIMITS,
  noTickets,
  type PeerId,
  type RendezvousEvents,
  RendezvousServer,
} from '@tryst/rendezvous'
import { type Deliver, SimulatedDevice } from '@tryst/rendezvous/contract'
import {
  NodeAnswers,
  RedisAccessStore,
  RedisCluster,
  RedisConnection,
  RedisIdentityStore,
  RedisNode,
} from '../src/index.ts'
import { LinkHub } from './link-hub.ts'
import { redisSettings } from './redis-fixture.ts'
import { type OwnRedis, startRedisServer, whyNoRedisServer } from './redis-server.ts'
import { until } from './until.ts'

const [suite, name] = whyNoRedisServer
  ? [describe.skip, `identities at two ID servers with Redis (skipped: ${whyNoRedisServer})`]
  : [describe, 'identities at two ID servers with Redis']

const { Result } = rendezvous.RegisterPkResponse
const ID = '123456789' as PeerId
const NEW = 'front-desk' as PeerId
const HOME: Endpoint = { ip: '203.0.113.9', port: 1000 }
const ELSEWHERE: Endpoint = { ip: '203.0.113.77', port: 2000 }
const STEP_MS = 500
const uuid = new TextEncoder().encode('one image')
const publicKey = new Uint8Array(32).fill(1)

/** One ID server on the shared Redis; its own clock stands still until it is set. */
class IdServer {
  readonly answers: RendezvousMessage[] = []
  readonly events: string[] = []

  constructor(
    readonly server: RendezvousServer,
    readonly connection: RedisConnection,
    readonly identities: RedisIdentityStore,
    readonly cluster: RedisCluster,
    events: string[],
  ) {
    this.events = events
  }

  readonly datagrams = { send: (payload: Uint8Array) => void this.answers.push(decodeRendezvous(payload)) }

  static async start(hub: LinkHub, url: string, label: string, clock: () => number): Promise<IdServer> {
    const connection = await RedisConnection.open(redisSettings(url))
    const node = new RedisNode(connection, { role: 'id-server', name: label, address: `${label}:1`, version: '1' })
    const nodeAnswers = new NodeAnswers()
    const links = hub.enter(node.incarnation, nodeAnswers)
    const cluster = new RedisCluster({ connection, node, links, answers: nodeAnswers })
    const identities = await RedisIdentityStore.open(connection, { maxDevices: 1_000 })
    const told: string[] = []
    const events = new Proxy({} as RendezvousEvents, {
      get: (_, event) => (id: unknown) => void told.push(`${String(event)} ${id}`),
    })
    const server = new RendezvousServer(
      {
        ...{ expectedKey: undefined, relayServers: [], relayRules: [], fallbackRelay: '', relayPort: 21_117 },
        ...{ alwaysUseRelay: false, lan: undefined, serial: 0, rendezvousServers: [], softwareUrl: '' },
        ...{ limits: DEFAULT_REGISTRATION_LIMITS, keepAliveMs: 20_000, maxKeptDevices: 10, maxDevices: 1_000 },
        healClones: true,
      },
      {
        ...{ identities, cluster, clock, events, signer: undefined, tickets: noTickets },
        access: new RedisAccessStore(connection),
        announcedRelays: { live: () => [], isFresh: true },
        random: () => 1,
        asciiText: (bytes, start, end) => String.fromCharCode(...bytes.subarray(start, end)),
      },
    )
    const idServer = new IdServer(server, connection, identities, cluster, told)
    await server.start(idServer.datagrams)
    return idServer
  }

  async stop(): Promise<void> {
    await this.cluster.leave()
    await this.identities.close()
    this.connection.close()
  }
}

suite(name, () => {
  let redis: OwnRedis
  let servers: [IdServer, IdServer]
  let nowMs: number
  let drawn = 1_000_000_000

  beforeEach(async () => {
    nowMs = Date.UTC(2026, 0, 1)
    redis = await startRedisServer()
    const hub = new LinkHub()
    servers = [
      await IdServer.start(hub, redis.url, 'a', () => nowMs),
      await IdServer.start(hub, redis.url, 'b', () => nowMs),
    ]
  })

  afterEach(async () => {
    for (const server of servers) await server.stop()
    await redis.stop()
  })

  const holders = (id: string) => servers.filter(({ server }) => server.presence.isOnline(id as PeerId, nowMs)).length

  /** Each address reaches one of the two. */
  const deliverBy =
    (nodeOf: (from: Endpoint) => number): Deliver =>
    async (message, from) => {
      const { server, answers, datagrams } = servers[nodeOf(from)] as IdServer
      const before = answers.length
      server.onDatagram(encodeRendezvous(message), from.ip, from.port, datagrams)
      const id = message.registerPk?.id ?? message.registerPeer?.id ?? ''
      await until(() => server.registrar.pending === 0 && holders(id) <= 1, 'one node holds the device')
      return answers.slice(before)
    }

  const machine = (address: () => Endpoint, nodeOf: (from: Endpoint) => number, isLost = () => false) =>
    new SimulatedDevice({
      ...{ id: ID, uuid, publicKey, address, isLost },
      deliver: deliverBy(nodeOf),
      drawId: () => String(++drawn),
    })

  async function run(devices: readonly SimulatedDevice[], ms: number): Promise<void> {
    for (const endMs = nowMs + ms; nowMs < endMs; ) {
      nowMs += STEP_MS
      for (const device of devices) await device.run(nowMs)
      for (const { server } of servers) server.sweep()
    }
  }

  const told = (event: string) => servers.flatMap(({ events }) => events).filter((each) => each.startsWith(event))

  it('machines of one image at one node each get an id of their own within two minutes', async () => {
    const original = machine(
      () => HOME,
      () => 0,
    )
    await run([original], 30_000)
    const newcomer = machine(
      () => ELSEWHERE,
      () => 1,
    )
    await run([original], 5_000)
    await run([original, newcomer], 120_000)
    expect(original.ids).toEqual([ID])
    expect(newcomer.ids).toHaveLength(2)
    expect([holders(original.id), holders(newcomer.id)]).toEqual([1, 1])
    expect(told('cloneFound')).toEqual([`cloneFound ${ID}`])
    expect(await servers[0].identities.find(newcomer.id as PeerId)).toMatchObject({ uuid })
  }, 60_000)

  it('a device whose packets come from either of two addresses in turn keeps its id, with 30 % lost', async () => {
    let packets = 0
    let state = 42
    const isLost = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state / 2 ** 32 < 0.3
    }
    const device = machine(
      () => (packets++ % 2 === 0 ? HOME : ELSEWHERE),
      ({ ip }) => (ip === HOME.ip ? 0 : 1),
      isLost,
    )
    await run([device], 600_000)
    expect(device.ids).toEqual([ID])
    expect(told('cloneFound')).toEqual([])
  }, 60_000)

  it('a device takes another id at one node that it is heard of by the other', async () => {
    const device = machine(
      () => HOME,
      () => 0,
    )
    await run([device], 30_000)
    const answers: RendezvousMessage[] = []
    let isClosed = false
    const connection: ClientConnection = {
      ...{ transport: 'tcp', remote: HOME, isClosed: false, unsentBytes: 0, keep: () => {}, destroy: () => {} },
      send: (payload) => void answers.push(decodeRendezvous(payload)),
      close: () => {
        isClosed = true
      },
    }
    servers[1].server.onMessage(connection, encodeRendezvous({ registerPk: { id: NEW, oldId: ID, uuid } }))
    await until(() => isClosed, 'the change is answered')
    expect(answers[0]?.registerPkResponse?.result).toBe(Result.OK)
    await until(() => holders(ID) === 0, 'nobody holds the old id')
    const renamed = new SimulatedDevice({
      ...{ id: NEW, uuid, publicKey, address: () => HOME, deliver: deliverBy(() => 0), drawId: () => '' },
    })
    await run([renamed], 20_000)
    expect(renamed.ids).toEqual([NEW])
    expect(holders(NEW)).toBe(1)
    expect(await servers[0].identities.find(ID)).toMatchObject({ movedTo: NEW })
    // As a machine that was set up from the same image does.
    const twin = machine(
      () => ELSEWHERE,
      () => 1,
    )
    await run([renamed, twin], 20_000)
    expect([holders(ID), holders(NEW)]).toEqual([1, 1])
    expect([twin.ids, renamed.ids]).toEqual([[ID], [NEW]])
    expect((await servers[0].identities.find(ID))?.movedTo).toBeUndefined()
  }, 60_000)
})
