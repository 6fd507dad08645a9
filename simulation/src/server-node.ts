import {
  DEFAULT_REGISTRATION_LIMITS,
  type NodeId,
  type RendezvousEvents,
  RendezvousServer,
  type RendezvousSettings,
} from '@tryst/rendezvous'
import {
  DEFAULT_NODE_LEASE_MS,
  NodeAnswers,
  RedisAccessStore,
  RedisCluster,
  RedisConnection,
  RedisIdentityStore,
  RedisNode,
  RedisRelayDirectory,
  type RedisSettings,
  RedisTickets,
} from '@tryst/state-redis'
import type { SeededRandom } from './random.ts'
import { SimulatedClient } from './simulated-client.ts'
import type { SimulatedLinks } from './simulated-links.ts'
import type { SimulatedRedis } from './simulated-redis.ts'
import type { VirtualTime } from './virtual-time.ts'

/** As the service does it. */
const SWEEP_EVERY_MS = 250
/** What one core spends on a datagram, measured: docs/scaling.md, measured. */
const HEARTBEAT_US = 25
const REGISTRATION_US = 120
/** Datagrams that the kernel keeps for a busy process: 4 MiB, with what it counts for each. */
const RECEIVE_QUEUE = 5_000

export interface ServerWorld {
  readonly time: VirtualTime
  readonly redis: SimulatedRedis
  readonly links: SimulatedLinks
  readonly random: SeededRandom
  readonly redisLatencyMs: (region: number) => number
  /** What a node sends to a device, after it took the node so long to come to it. */
  readonly toDevice: (from: ServerNode, payload: Uint8Array, ip: string, delayMs: number) => void
  readonly maxDevices: number
}

/** One ID server: all that decides is real, what it stands on is simulated. */
export class ServerNode {
  readonly index: number
  readonly region: number
  readonly server: RendezvousServer
  readonly #world: ServerWorld
  readonly #node: RedisNode
  readonly #connection: RedisConnection
  readonly #identities: RedisIdentityStore
  readonly #sweeper: NodeJS.Timeout
  #isAlive = true
  #busyUntilMs = 0
  busyMs = 0
  /** Datagrams that found the receive queue full. */
  overflowed = 0

  private constructor(
    index: number,
    region: number,
    world: ServerWorld,
    parts: { node: RedisNode; connection: RedisConnection; identities: RedisIdentityStore; server: RendezvousServer },
  ) {
    this.index = index
    this.region = region
    this.#world = world
    this.#node = parts.node
    this.#connection = parts.connection
    this.#identities = parts.identities
    this.server = parts.server
    this.#sweeper = setInterval(() => this.server.sweep(), SWEEP_EVERY_MS)
  }

  static async start(index: number, region: number, world: ServerWorld): Promise<ServerNode> {
    const { time, redis, links, random, maxDevices } = world
    // The node is made after its connections.
    const life: { node?: ServerNode } = {}
    const isAlive = () => life.node?.isAlive ?? true
    const latencyMs = world.redisLatencyMs(region)
    const settings: RedisSettings = {
      ...{ url: 'redis://192.0.2.2', sentinels: [], sentinelName: 'mymaster', cluster: [], prefix: 'tryst:' },
      nodeLeaseMs: DEFAULT_NODE_LEASE_MS,
      createClient: () => {
        const client = new SimulatedClient(redis, time, latencyMs, isAlive)
        return client.asRedis()
      },
    }
    const connection = await RedisConnection.open(settings)
    const incarnation = `${index}`.padStart(32, '0') as NodeId
    const facts = { role: 'id-server', name: `node-${index}`, address: `192.0.2.${index}:1`, version: '1' } as const
    const node = new RedisNode(connection, facts, { incarnation })
    const answers = new NodeAnswers()
    const cluster = new RedisCluster({
      connection,
      node,
      links: links.enter(incarnation, { answers, region }),
      answers,
    })
    const askOthers: NonNullable<Parameters<typeof RedisIdentityStore.open>[1]['askOthers']> = (id) =>
      cluster.recall(id)
    const identities = await RedisIdentityStore.open(connection, { maxDevices, askOthers })
    answers.recall = (id) => identities.recall(id)
    const server = new RendezvousServer(rendezvousSettings(maxDevices), {
      ...{ identities, cluster, signer: undefined, events: SILENT, access: new RedisAccessStore(connection) },
      announcedRelays: new RedisRelayDirectory(node),
      tickets: new RedisTickets(connection),
      clock: () => time.unixMs,
      random: () => random.uint32(),
      asciiText: (bytes, start, end) => (bytes as Buffer).toString('latin1', start, end),
    })
    const made = new ServerNode(index, region, world, { node, connection, identities, server })
    life.node = made
    await server.start(made)
    return made
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  /** From the node to a device (the port that RendezvousServer answers through). */
  send(payload: Uint8Array, ip: string): void {
    if (this.#isAlive) this.#world.toDevice(this, payload, ip, Math.max(0, this.#busyUntilMs - this.#world.time.nowMs))
  }

  take(datagram: Buffer, kind: 'heartbeat' | 'registration', ip: string, port: number): void {
    if (!this.#isAlive) return
    const costMs = (kind === 'heartbeat' ? HEARTBEAT_US : REGISTRATION_US) / 1000
    const { nowMs } = this.#world.time
    const beginMs = Math.max(this.#busyUntilMs, nowMs)
    if (beginMs - nowMs > RECEIVE_QUEUE * (HEARTBEAT_US / 1000)) {
      this.overflowed++
      return
    }
    this.#busyUntilMs = beginMs + costMs
    this.busyMs += costMs
    this.server.onDatagram(datagram, ip, port, this)
  }

  /** As when its machine loses power. */
  kill(): void {
    this.#isAlive = false
    clearInterval(this.#sweeper)
    this.#world.links.exit(this.#node.incarnation)
    // Nothing of this reaches anybody; it ends the timers.
    this.#connection.close()
    this.#node.withdraw()
    this.#identities.close()
  }
}

function rendezvousSettings(maxDevices: number): RendezvousSettings {
  return {
    ...{ expectedKey: undefined, relayServers: ['relay.example:21117'], relayRules: [], fallbackRelay: '' },
    ...{ relayPort: 21117, alwaysUseRelay: false, lan: undefined, serial: 0, rendezvousServers: [], softwareUrl: '' },
    limits: DEFAULT_REGISTRATION_LIMITS,
    ...{ maxDevices, keepAliveMs: 20_000, maxKeptDevices: maxDevices },
  }
}

const ignore = () => {}
const SILENT: RendezvousEvents = {
  registered: ignore,
  uuidMismatch: ignore,
  identityContradicted: ignore,
  ...{ newKeyRefused: ignore, cloneFound: ignore, idChanged: ignore, idTakenBack: ignore, idChangeRefused: ignore },
  notAdmitted: ignore,
  controlRefused: ignore,
  keyMismatch: ignore,
  ipChanged: ignore,
  serverListUpdated: ignore,
  limitHit: ignore,
  unavailable: ignore,
}
