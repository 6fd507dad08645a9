import { randomBytes } from 'node:crypto'
import type { AnnouncedRelay, NodeId } from '@tryst/rendezvous'
import { mergeByAddress } from './announced-relays.ts'
import { RENEW_LEASE, WITHDRAW_LEASE } from './lease-scripts.ts'
import type { RedisConnection } from './redis-connection.ts'

/** What a node says of itself. */
export interface NodeFacts {
  /** An ID server holds devices and waiting initiators, a relay holds halves. */
  readonly role: 'id-server' | 'relay'
  /** What the operator calls it (NODE_ID); for messages only. */
  readonly name: string
  /** Where other nodes reach it, `host:port`. */
  readonly address: string
  readonly version: string
  /** The program that started it as one of several workers, and its number there. */
  readonly workers?: { readonly group: string; readonly worker: number } | undefined
}

/** A node as the others know it. */
export interface KnownNode extends NodeFacts {
  /** Drawn anew at every start. */
  readonly incarnation: NodeId
  /** It holds no devices any more; who waits there is still answered. */
  readonly isLeaving?: boolean
  /** When the ID server last brought clients together, who may go to a relay then: Redis' time, no earlier; 0: never. */
  readonly offeredMs?: number
}

export interface RedisNodeEvents {
  /** A node came into sight, or its lease has ended. */
  nodeSeen(node: KnownNode): void
  nodeGone(node: KnownNode): void
  /** The lease could not be renewed for the first time in a row. */
  leaseNotRenewed(error: unknown): void
}

export interface RedisNodeOptions {
  /** Default: drawn. For links that are opened before the node takes part. */
  readonly incarnation?: NodeId
  readonly events?: Partial<RedisNodeEvents>
}

/** A relay's announcement as it stands in Redis. */
interface Announcement extends AnnouncedRelay {
  readonly node: string
  readonly leaseMs: number
}

const LONGEST_INTERVAL_MS = 1_000
const SHORTEST_INTERVAL_MS = 50
const RENEWALS_IN_A_LEASE = 6
const MAX_GONE = 1_000
const LATE_ANNOUNCEMENT = 1.25

/** Draws the name under which a node takes part until it ends. */
export function drawIncarnation(): NodeId {
  return randomBytes(16).toString('hex') as NodeId
}

/**
 * This node among the others: one call a second renews its lease and what it announces, and tells who else is alive.
 * ID servers and relays use the same.
 */
export class RedisNode {
  readonly incarnation: NodeId
  readonly leaseMs: number
  readonly intervalMs: number
  readonly #connection: RedisConnection
  readonly #facts: NodeFacts
  readonly #events: Partial<RedisNodeEvents>
  /** To be sent with the next renewal, once: a relay whose announcement nobody renews lapses. */
  readonly #announcing = new Map<string, Announcement>()
  readonly #announced = new Set<string>()
  readonly #drawnEpoch = randomBytes(16).toString('hex')
  readonly #afterTurns = new Set<() => void>()
  #stopListening: () => void = () => {}
  #nodes: ReadonlyMap<NodeId, KnownNode> = new Map()
  #relays: readonly AnnouncedRelay[] = []
  /** Names of nodes that are not there any more, oldest first; one that comes back is seen. */
  readonly #gone = new Set<NodeId>()
  #viewReadMs = Number.NEGATIVE_INFINITY
  /** Who was there before a loss of data and had no time yet to come back; and until when they count as alive. */
  #spared:
    | {
        readonly nodes: ReadonlyMap<NodeId, KnownNode>
        readonly relays: readonly AnnouncedRelay[]
        readonly untilMs: number
      }
    | undefined
  #leaseEndsMs = Number.NEGATIVE_INFINITY
  #renewing: Promise<void> | undefined
  #renewingNext: Promise<void> | undefined
  #failures = 0
  #timer: NodeJS.Timeout | undefined
  #isLeaving = false
  #hasOffered: (() => boolean) | undefined
  #offeredMs = 0
  #state: 'new' | 'running' | 'withdrawn' = 'new'

  constructor(connection: RedisConnection, facts: NodeFacts, { incarnation, events = {} }: RedisNodeOptions = {}) {
    this.#connection = connection
    this.#facts = facts
    this.#events = events
    this.incarnation = incarnation ?? drawIncarnation()
    this.leaseMs = connection.settings.nodeLeaseMs
    this.intervalMs = Math.min(
      LONGEST_INTERVAL_MS,
      Math.max(SHORTEST_INTERVAL_MS, Math.floor(this.leaseMs / RENEWALS_IN_A_LEASE)),
    )
  }

  /** Takes part from now on. Rejects with StoreUnavailableError when Redis can't be asked. May be called twice. */
  async start(): Promise<void> {
    if (this.#state !== 'new') return
    this.#state = 'running'
    this.#stopListening = this.#connection.onChange((event) => {
      if (event.kind === 'lost-data-suspected') this.#spare()
      if (event.kind === 'up') this.renew().catch(() => {})
    })
    try {
      await this.renew()
    } catch (error) {
      this.#stop('new')
      throw error
    }
  }

  /** The other nodes that are alive; while Redis is away, those that were. */
  get others(): ReadonlyMap<NodeId, KnownNode> {
    return this.#nodes
  }

  /** The relays that are announced; while Redis is away, those that were. */
  get relays(): readonly AnnouncedRelay[] {
    return this.#relays
  }

  /** True while what is known of other nodes and relays is renewed as it should be. */
  get isFresh(): boolean {
    return performance.now() - this.#viewReadMs < this.intervalMs * 2 + LONGEST_INTERVAL_MS
  }

  /** The others believe that this node is alive: counted from when the last renewal that was accepted was sent. */
  get hasLease(): boolean {
    return this.#state === 'running' && performance.now() < this.#leaseEndsMs
  }

  /** Calls back after every attempt to renew the lease. */
  onTurn(listener: () => void): () => void {
    this.#afterTurns.add(listener)
    return () => this.#afterTurns.delete(listener)
  }

  /**
   * A node that is named somewhere. A node is in sight before its name is written anywhere, so what this node has not
   * seen yet is found by reading anew, and what is not found then has died. Rejects with StoreUnavailableError.
   */
  async find(node: NodeId): Promise<KnownNode | undefined> {
    const known = this.#nodes.get(node)
    if (known || this.#gone.has(node)) return known
    await this.#renewAfterNow()
    if (!this.#nodes.has(node)) this.#noteGone(node)
    return this.#nodes.get(node)
  }

  /** Says what others should know of a relay of this node for so long. Renews the node's own lease too. */
  async announce(relay: AnnouncedRelay, leaseMs: number): Promise<void> {
    this.#announcing.set(relay.address, { ...relay, node: this.incarnation, leaseMs })
    this.#announced.add(relay.address)
    await this.#renewAfterNow()
  }

  async withdrawRelay(address: string): Promise<void> {
    this.#announcing.delete(address)
    this.#announced.delete(address)
    await this.#renewing?.catch(() => {})
    const args = [this.incarnation, 0, this.#memberOf(address)]
    await this.#connection.run({ script: WITHDRAW_LEASE, keys: this.#keys, args })
    this.#relays = this.#relays.filter((relay) => relay.address !== address)
  }

  /** Renews now; what is under way counts. */
  renew(): Promise<void> {
    if (this.#state !== 'running') return Promise.resolve()
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined
      this.#schedule()
      for (const listener of [...this.#afterTurns]) listener()
    })
    return this.#renewing
  }

  /** What is under way was written before, and may not know what happened since. */
  #renewAfterNow(): Promise<void> {
    if (!this.#renewing) return this.renew()
    this.#renewingNext ??= this.#renewing
      .catch(() => {})
      .then(() => {
        this.#renewingNext = undefined
        return this.renew()
      })
    return this.#renewingNext
  }

  /** @param hasOffered whether this ID server has brought clients together since it was asked last */
  tellOffers(hasOffered: () => boolean): void {
    this.#hasOffered = hasOffered
  }

  /** Tells the others that this node is leaving, now or as soon as Redis can be asked. */
  async retire(): Promise<void> {
    this.#isLeaving = true
    await this.#renewAfterNow()
  }

  /** Ends the lease and the announcements. May be called twice. */
  async withdraw(): Promise<void> {
    if (this.#state === 'withdrawn') return
    const wasRunning = this.#state === 'running'
    this.#stop('withdrawn')
    if (!wasRunning) return
    // What is under way would bring the lease back.
    await this.#renewing?.catch(() => {})
    const args = [this.incarnation, 1, ...[...this.#announced].map((address) => this.#memberOf(address))]
    // Without Redis the lease lapses by itself.
    await this.#connection.run({ script: WITHDRAW_LEASE, keys: this.#keys, args }).catch(() => {})
  }

  #stop(state: 'new' | 'withdrawn'): void {
    this.#state = state
    this.#stopListening()
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    if (this.#state !== 'running') return
    // Where a relay is announced, each announcement is a renewal: the timer only steps in when one is late.
    const delayMs = this.#announced.size > 0 ? this.intervalMs * LATE_ANNOUNCEMENT : this.intervalMs
    this.#timer = setTimeout(() => this.renew().catch(() => {}), delayMs)
    this.#timer.unref()
  }

  async #renew(): Promise<void> {
    if (this.#hasOffered?.()) this.#offeredMs = Math.ceil(this.#connection.nowMs())
    const relays = [...this.#announcing].flatMap(([address, relay]) => [
      ...[this.#memberOf(address), relay.leaseMs, JSON.stringify(relay)],
    ])
    this.#announcing.clear()
    const info = JSON.stringify({
      ...this.#facts,
      ...(this.#isLeaving && { isLeaving: true }),
      ...(this.#hasOffered && { offeredMs: this.#offeredMs }),
    })
    const sentMs = performance.now()
    try {
      const reply = await this.#connection.run({
        script: RENEW_LEASE,
        keys: this.#keys,
        args: [this.incarnation, this.leaseMs, this.intervalMs, info, this.#drawnEpoch, ...relays],
        isVital: true,
      })
      this.#failures = 0
      this.#leaseEndsMs = sentMs + this.leaseMs
      this.#read(reply as [string, string[], string[]])
    } catch (error) {
      if (this.#failures++ === 0) this.#events.leaseNotRenewed?.(error)
      throw error
    }
  }

  #read([epoch, infos, relays]: [string, string[], string[]]): void {
    this.#viewReadMs = performance.now()
    // Before the nodes are read: it may say that those which are missing were lost.
    this.#connection.noteEpoch(epoch)
    const nodes = new Map<NodeId, KnownNode>()
    for (const [incarnation, text] of pairs(infos)) {
      if (incarnation === this.incarnation) continue
      const node = { ...(JSON.parse(text) as NodeFacts), incarnation: incarnation as NodeId }
      nodes.set(node.incarnation, node)
    }
    const live = mergeByAddress([...pairs(relays)].map(([, text]) => announced(JSON.parse(text) as Announcement)))
    if (this.#spared && performance.now() < this.#spared.untilMs) {
      for (const [incarnation, node] of this.#spared.nodes) if (!nodes.has(incarnation)) nodes.set(incarnation, node)
      const isBack = new Set(live.map(({ address }) => address))
      live.push(...this.#spared.relays.filter(({ address }) => !isBack.has(address)))
    }
    const before = this.#nodes
    this.#nodes = nodes
    this.#relays = live
    for (const [incarnation, node] of nodes) {
      this.#gone.delete(incarnation)
      if (!before.has(incarnation)) this.#events.nodeSeen?.(node)
    }
    for (const [incarnation, node] of before) {
      if (nodes.has(incarnation)) continue
      this.#noteGone(incarnation)
      this.#events.nodeGone?.(node)
    }
  }

  /** Relays behind one address announce themselves side by side: one that goes does not take the others with it. */
  #memberOf(address: string): string {
    return `${address} ${this.incarnation}`
  }

  #noteGone(node: NodeId): void {
    this.#gone.add(node)
    if (this.#gone.size <= MAX_GONE) return
    for (const oldest of this.#gone) {
      this.#gone.delete(oldest)
      return
    }
  }

  #spare(): void {
    this.#spared = { nodes: this.#nodes, relays: this.#relays, untilMs: performance.now() + this.leaseMs }
  }

  get #keys(): string[] {
    const { keys } = this.#connection
    return [keys.nodes(), keys.nodeRenewals(), keys.nodeInfo(), keys.relays(), keys.relayInfo(), keys.epoch()]
  }
}

function announced({ node: _node, leaseMs: _leaseMs, ...relay }: Announcement): AnnouncedRelay {
  return relay
}

function* pairs(list: readonly string[]): Generator<[string, string]> {
  for (let i = 0; i + 1 < list.length; i += 2) yield [list[i] as string, list[i + 1] as string]
}
