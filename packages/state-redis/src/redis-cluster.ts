import { unmangleAddress } from '@tryst/protocol'
import {
  type Cluster,
  type DeviceAnswer,
  type LocalNode,
  type Location,
  type NodeId,
  type PeerId,
  type PushOutcome,
  StoreUnavailableError,
} from '@tryst/rendezvous'
import { ForgetMessages } from './forget-messages.ts'
import type { NodeAnswers } from './node-answers.ts'
import type { NodeLinksPort, RecalledIdentity } from './node-links-port.ts'
import { OtherNodes } from './other-nodes.ts'
import { PresenceLedger, UDP } from './presence-ledger.ts'
import { PresenceUpkeep } from './presence-upkeep.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { KnownNode, RedisNode } from './redis-node.ts'
import { Share } from './share.ts'
import { WaitingNodes } from './waiting-nodes.ts'

export interface RedisClusterParts {
  readonly connection: RedisConnection
  readonly node: RedisNode
  readonly links: NodeLinksPort
  /** What the links of this node answer with. */
  readonly answers: NodeAnswers
  /** In how long every record is looked at once; default just under 10 min. */
  readonly sweepMs?: number
}

/** For so long after Redis came back it may not know every device and everybody who waits: nodes are asked. */
const RECOVERY_MS = 10_000
/** Of one list of devices that somebody wants to know of, and of all such lists: the rest of the queue is for others. */
const IDS_AT_ONCE = 1_000
const MAX_LISTED_AT_ONCE = 4_000
/** Devices that are asked for, and answers that are brought, over links at once: the rest of them is for other questions. */
const MAX_RECALLS_AT_ONCE = 500
const MAX_ANSWERS_AT_ONCE = 1_000
const MAX_NETWORKS_AT_ONCE = 500
/** A moment in which another node is back at Redis before us is no cut. */
const TURNS_UNTIL_CUT_OFF = 2

/** The other nodes of the same server, as Redis and the links to them tell (docs/state.md, Redis). */
export class RedisCluster implements Cluster {
  readonly isAlone = false
  readonly #connection: RedisConnection
  readonly #node: RedisNode
  readonly #answers: NodeAnswers
  readonly #others: OtherNodes
  readonly #forgets: ForgetMessages
  readonly #ledger: PresenceLedger
  readonly #upkeep: PresenceUpkeep
  readonly #waiting: WaitingNodes
  #local: LocalNode | undefined
  #stopListening: (() => void)[] = []
  readonly #lists = new Share(MAX_LISTED_AT_ONCE, 'devices of lists are being looked up')
  /** Anybody may register under any name, and pretend to be a device that answers. */
  readonly #recalls = new Share(MAX_RECALLS_AT_ONCE, 'devices are asked for at other nodes')
  readonly #networks = new Share(MAX_NETWORKS_AT_ONCE, 'networks are asked for at other nodes')
  readonly #taking = new Share(MAX_ANSWERS_AT_ONCE, 'answers are being taken to other nodes')
  #retiring: Promise<void> | undefined
  #recoversUntilMs = Number.NEGATIVE_INFINITY
  #hadLease = true
  #turnsCutOff = 0

  constructor({ connection, node, links, answers, sweepMs }: RedisClusterParts) {
    this.#connection = connection
    this.#node = node
    this.#answers = answers
    this.#others = new OtherNodes(node, links)
    this.#forgets = new ForgetMessages(this.#others)
    const onTaken = (id: PeerId, version: number, former: NodeId) => this.#forgets.tell(former, id, version)
    this.#ledger = new PresenceLedger({
      connection,
      incarnation: node.incarnation,
      onTaken,
      onLost: (id) => this.#local?.forget(id),
      onTook: (id) => this.#local?.took(id),
      onUnwritten: (id, heardUs) => this.#forgets.tellAll(id, heardUs),
    })
    this.#upkeep = new PresenceUpkeep({
      ...{ connection, node, ledger: this.#ledger, onTaken },
      holds: (id) => this.#local?.holds(id),
      ...(sweepMs === undefined ? {} : { sweepMs }),
    })
    this.#waiting = new WaitingNodes(connection, node.incarnation)
  }

  get isCutOff(): boolean {
    return this.#turnsCutOff >= TURNS_UNTIL_CUT_OFF && !this.#node.hasLease
  }

  /** Devices that Redis names this node for. */
  get held(): number {
    return this.#ledger.size
  }

  async join(local: LocalNode): Promise<void> {
    this.#local = local
    this.#answers.attach({
      local,
      hasStore: () => this.#connection.state === 'up' && this.#node.hasLease,
      forget: (id, version) => void this.#ledger.yield(id, version),
    })
    this.#stopListening = [
      this.#node.onTurn(() => this.#turn()),
      this.#connection.onChange((event) => {
        if (event.kind === 'lost-data-suspected' || (event.kind === 'up' && !event.isFirst)) this.#recover()
      }),
    ]
    await this.#node.start()
  }

  claim(id: PeerId, ip: string, via?: string): Promise<void> {
    if (this.#retiring) return Promise.resolve()
    return this.#ledger.claim(id, ip, via)
  }

  release(id: PeerId, via?: string): Promise<void> {
    return this.#ledger.release(id, via)
  }

  async locate(ids: readonly PeerId[]): Promise<readonly (Location | undefined)[]> {
    // A controller waits.
    if (ids.length === 1) return this.#locate(ids)
    const places: (Location | undefined)[] = []
    for (let at = 0; at < ids.length; at += IDS_AT_ONCE)
      places.push(...(await this.#locateListed(ids.slice(at, at + IDS_AT_ONCE))))
    return places
  }

  #locateListed(ids: readonly PeerId[]): Promise<readonly (Location | undefined)[]> {
    return this.#lists.use(ids.length, () => this.#locate(ids))
  }

  async #locate(ids: readonly PeerId[]): Promise<readonly (Location | undefined)[]> {
    const rows = await this.#connection.pipelined(
      ids.map((id) => {
        const key = this.#connection.keys.presence(id)
        return { key, name: 'HMGET', args: [key, 'o', 'i', 'c'] }
      }),
    )
    const isRecovering = this.#isRecovering
    const places: (Location | undefined)[] = []
    const unsure: number[] = []
    for (const [index, row] of rows.entries()) {
      const place = row instanceof Error ? 'unknown' : await this.#placeOf(row as PresenceRow)
      places.push(place === 'unknown' ? undefined : place)
      if (place === 'unknown' || (!place && isRecovering)) unsure.push(index)
    }
    if (unsure.length === 0) return places
    const held = await this.#askHolders(unsure.map((index) => ids[index] as PeerId))
    for (const [at, index] of unsure.entries()) places[index] = held[at]
    return places
  }

  async push(node: NodeId, id: PeerId, message: Uint8Array, attempt?: number): Promise<PushOutcome> {
    const known = await this.#node.find(node)
    if (!known || known.isLeaving) return 'not-mine'
    try {
      return await this.#others.ask(known, (links, target) => links.push(target, id, message, attempt))
    } catch (error) {
      throw unanswered(known, error)
    }
  }

  awaitAnswers(initiatorIp: string): Promise<void> | undefined {
    // While Redis is away answers are taken to all nodes.
    return this.#connection.state === 'up' ? this.#waiting.add(initiatorIp) : undefined
  }

  async answer(answer: DeviceAnswer): Promise<boolean> {
    return this.#taking.use(1, () => this.#takeToOthers(answer))
  }

  async #takeToOthers(answer: DeviceAnswer): Promise<boolean> {
    const nodes = await this.#nodesWaitingAt(unmangleAddress(answer.handle).ip)
    const failures: unknown[] = []
    const asked = nodes.map(async (node) => {
      const isTaken = await this.#others
        .ask(node, (links, target) => links.answer(target, answer))
        .catch((error: unknown) => {
          failures.push(unanswered(node, error))
          return false
        })
      if (!isTaken) throw new Error(`nobody waits on ${node.name}`)
      return true
    })
    return Promise.any(asked).catch(() => {
      if (failures.length > 0) throw failures[0]
      return false
    })
  }

  hasDeviceInNetwork(ip: string): Promise<boolean> {
    return this.#networks.use(1, async () => {
      const failures: unknown[] = []
      const asked = this.#others.idServers.map(async (node) => {
        const hasOne = await this.#others
          .ask(node, (links, target) => links.hasDeviceInNetwork(target, ip))
          .catch((error: unknown) => {
            failures.push(unanswered(node, error))
            return false
          })
        if (!hasOne) throw new Error(`${node.name} hears no device there`)
        return true
      })
      return Promise.any(asked).catch(() => {
        if (failures.length > 0) throw failures[0]
        return false
      })
    })
  }

  async dismiss(id: PeerId): Promise<void> {
    // A node that has just joined may hold it.
    await this.#node.renew().catch(() => {})
    await dismissEverywhere(this.#others, id)
  }

  /**
   * What another node remembers of a device; for when Redis can't be asked. Undefined: none that answers does. Rejects
   * with StoreUnavailableError where too many are asked for.
   */
  recall(id: PeerId): Promise<RecalledIdentity | undefined> {
    return this.#recalls.use(1, () => this.#askToRecall(id))
  }

  #askToRecall(id: PeerId): Promise<RecalledIdentity | undefined> {
    const asked = this.#others.idServers.map(async (node) => {
      const recalled = await this.#others.ask(node, (links, target) => links.recall(target, id))
      if (!recalled) throw new Error(`${node.name} does not remember it`)
      return recalled
    })
    return Promise.any(asked).catch(() => undefined)
  }

  retire(): Promise<void> {
    this.#retiring ??= this.#retire()
    return this.#retiring
  }

  async #retire(): Promise<void> {
    if (!this.#local) return
    // Where Redis is away, the next renewal says so, and this node itself whenever it is asked.
    await this.#node.retire().catch(() => {})
    await this.#ledger.settled()
    // Without Redis the records lose their owner when the lease lapses.
    await this.#upkeep.withdraw().catch(() => {})
  }

  async leave(): Promise<void> {
    if (!this.#local) return
    const retiring = this.retire()
    this.#local = undefined
    for (const stop of this.#stopListening) stop()
    this.#answers.detach()
    await retiring
    await this.#node.withdraw()
  }

  async #placeOf([owner, ip, via]: PresenceRow): Promise<Location | undefined | 'unknown'> {
    if (owner === null || owner === this.#node.incarnation) return undefined
    const node = owner as NodeId
    try {
      const known = await this.#node.find(node)
      if (!known || known.isLeaving) return undefined
      return via === UDP ? { node, ip } : { node, ip, via }
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error
      return 'unknown'
    }
  }

  /** Which nodes hold devices, from the nodes themselves. Rejects where one that was not found may be with a silent node. */
  async #askHolders(ids: readonly PeerId[]): Promise<readonly (Location | undefined)[]> {
    const places: (Location | undefined)[] = ids.map(() => undefined)
    let failure: unknown
    await Promise.all(
      this.#others.holders.map(async (node) => {
        try {
          const held = await this.#others.ask(node, (links, target) => links.holds(target, ids))
          for (const [index, ip] of held.entries())
            if (ip !== undefined) places[index] ??= { node: node.incarnation, ip }
        } catch (error) {
          failure = unanswered(node, error)
        }
      }),
    )
    if (failure !== undefined && places.includes(undefined)) throw failure
    return places
  }

  async #nodesWaitingAt(ip: string): Promise<KnownNode[]> {
    // Who began to wait while Redis was away is written nowhere.
    if (this.#isRecovering) return this.#others.idServers
    try {
      const names = (await this.#waiting.nodesFor(ip)).filter((name) => name !== this.#node.incarnation)
      const nodes = await Promise.all(names.map((name) => this.#node.find(name)))
      return nodes.filter((node) => node !== undefined)
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error
      return this.#others.idServers
    }
  }

  get #isRecovering(): boolean {
    return performance.now() < this.#recoversUntilMs
  }

  #turn(): void {
    this.#others.tidy()
    this.#forgets.turn()
    if (this.#retiring) return
    const { hasLease } = this.#node
    // Others have taken this node for dead, and its devices for theirs.
    if (hasLease && !this.#hadLease) this.#upkeep.restoreAll()
    else this.#upkeep.turn()
    this.#hadLease = hasLease
    this.#watchForCut()
  }

  async #watchForCut(): Promise<void> {
    if (this.#node.hasLease) {
      this.#turnsCutOff = 0
      return
    }
    const answers = await Promise.all(
      this.#others.idServers.map((node) =>
        this.#others.ask(node, (links, target) => links.hasStore(target)).catch(() => false),
      ),
    )
    this.#turnsCutOff = answers.includes(true) ? this.#turnsCutOff + 1 : 0
  }

  #recover(): void {
    this.#recoversUntilMs = performance.now() + RECOVERY_MS
    this.#waiting.rewrite()
    if (!this.#retiring) this.#upkeep.restoreAll()
  }
}

/** Owner, IP, and what the device is reached by. */
type PresenceRow = [string | null, string, string]

/** Tells every node that a device was removed or has another id. Rejects where one could not be told. */
export async function dismissEverywhere(others: OtherNodes, id: PeerId): Promise<void> {
  await Promise.all(
    others.idServers.map((node) =>
      others
        .ask(node, (links, target) => links.dismiss(target, id))
        .catch((error: unknown) => {
          throw unanswered(node, error)
        }),
    ),
  )
}

function unanswered({ name, address }: KnownNode, cause: unknown): StoreUnavailableError {
  return new StoreUnavailableError(`the node ${name} at ${address} did not answer`, { cause })
}
