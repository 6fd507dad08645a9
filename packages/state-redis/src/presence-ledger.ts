import type { NodeId, PeerId } from '@tryst/rendezvous'
import { PEER_BUCKETS, peerBucket } from './keys.ts'
import { CLAIM, RELEASE } from './presence-scripts.ts'
import type { RedisConnection } from './redis-connection.ts'

/** How long a record stays when nobody renews it. */
export const PRESENCE_LIFETIME_MS = 3_600_000

/** What a device is reached by that keeps no connection. */
export const UDP = 'udp'

/**
 * Redis' time is known from here to within less than this. A moment that is compared with versions has to lie before the
 * version that Redis would have given then; else two nodes could each take the other's claim for the later one.
 */
const CLOCK_ERROR_US = 5_000

export interface LedgerParts {
  readonly connection: RedisConnection
  readonly incarnation: NodeId
  /** Another node holds the device now: this one forgets it. */
  readonly onLost: (id: PeerId) => void
  /** A claim of this node took the device from another one. */
  readonly onTook: (id: PeerId) => void
  /** Another node held the device before; it is to forget what is older than this version. */
  readonly onTaken: (id: PeerId, version: number, former: NodeId) => void
  /** It could not be written that this node holds the device since then (Redis' time, µs). */
  readonly onUnwritten: (id: PeerId, heardUs: number) => void
}

/** What this node holds, or wants to hold, and Redis has not confirmed. */
export interface UnwrittenClaim {
  readonly kind: 'claim'
  readonly ip: string
  /** When the device was heard: Redis' time, µs, as far as it can be told from here. */
  readonly heardUs: number
}

type Unwritten = UnwrittenClaim | { readonly kind: 'release' }

/** What is to be done about a device next; everybody who asked for it waits for the same. */
interface Step {
  wish: Unwritten
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** The steps on one device follow one another; of those that wait only the last counts. */
interface Queue {
  running: Promise<void> | undefined
  next: Step | undefined
}

/**
 * The claims of this node: which devices Redis names it for, under which version. Steps on one device are taken one
 * after the other; what Redis did not accept is remembered and made good by PresenceUpkeep.
 */
export class PresenceLedger {
  readonly #parts: LedgerParts
  /** Version of each claim that Redis confirmed, by bucket. */
  readonly #held: readonly Map<PeerId, number>[] = Array.from({ length: PEER_BUCKETS }, () => new Map())
  /** What devices are reached by, where it is not UDP. */
  readonly #vias = new Map<PeerId, string>()
  /** Written back since they were claimed: another node may have held them, and let go, before that. */
  readonly #rewritten = new Set<PeerId>()
  readonly #unwritten = new Map<PeerId, Unwritten>()
  /** Claims of other nodes on devices that this node may have claimed later; by the last that told. */
  readonly #doubtful = new Map<PeerId, number>()
  readonly #queues = new Map<PeerId, Queue>()
  #number = 0
  #losses = 0

  constructor(parts: LedgerParts) {
    this.#parts = parts
  }

  /** The number of the next step of this node, larger than all before. */
  nextNumber(): number {
    return ++this.#number
  }

  /** Devices that Redis names this node for. */
  get size(): number {
    let size = 0
    for (const bucket of this.#held) size += bucket.size
    return size
  }

  bucket(index: number): ReadonlyMap<PeerId, number> {
    return this.#held[index] as ReadonlyMap<PeerId, number>
  }

  get unwritten(): ReadonlyMap<PeerId, Unwritten> {
    return this.#unwritten
  }

  versionOf(id: PeerId): number | undefined {
    return this.#bucketOf(id).get(id)
  }

  via(id: PeerId): string {
    return this.#vias.get(id) ?? UDP
  }

  /** A step on the device is under way or waits. */
  isBusy(id: PeerId): boolean {
    return this.#queues.has(id)
  }

  claim(id: PeerId, ip: string, via = UDP): Promise<void> {
    if (via === UDP) this.#vias.delete(id)
    else this.#vias.set(id, via)
    return this.#enqueue(id, { kind: 'claim', ip, heardUs: this.#nowUs() })
  }

  release(id: PeerId, via = UDP): Promise<void> {
    // The device is reached by something newer.
    if (this.via(id) !== via) return Promise.resolve()
    const isOurs = this.#queues.has(id) || this.#unwritten.has(id) || this.versionOf(id) !== undefined
    return isOurs ? this.#enqueue(id, { kind: 'release' }) : Promise.resolve()
  }

  /**
   * Another node says that it holds the device.
   *
   * @param version of its claim; negative where Redis has not accepted it: then since when it hears the device
   */
  async yield(id: PeerId, version: number): Promise<void> {
    await this.#stepsDone(id)
    if (this.#isUnsure(id) && this.#parts.connection.state === 'up') {
      // The claim may have been taken in, later than the other's.
      if (Math.abs(version) > Math.abs(this.#doubtful.get(id) ?? 0)) this.#doubtful.set(id, version)
      return
    }
    if (!this.#isOlder(id, version)) return
    // Redis may still name this node, or name it again, and the other may never get to change that.
    const mayBeNamed = version < 0 || this.#rewritten.has(id)
    this.lose(id)
    if (mayBeNamed) this.#giveUp(id)
  }

  /** Compares what could not be compared before it was known what became of this node's claim. */
  async settleDoubts(): Promise<void> {
    const doubtful = [...this.#doubtful]
    this.#doubtful.clear()
    for (const [id, version] of doubtful) {
      await this.#stepsDone(id)
      if (this.#isUnsure(id)) this.#doubtful.set(id, version)
      else if (this.#isOlder(id, version)) {
        this.lose(id)
        // What was written back meanwhile names this node.
        this.#giveUp(id)
      }
    }
  }

  /** Something that was sent before the device had gone may have named this node after it had gone. */
  async disown(id: PeerId): Promise<void> {
    await this.#stepsDone(id)
    if (this.versionOf(id) === undefined && !this.#unwritten.has(id)) this.#giveUp(id)
  }

  /** Only what Redis has decided can be compared. */
  async #stepsDone(id: PeerId): Promise<void> {
    for (let queue = this.#queues.get(id); queue?.running; queue = this.#queues.get(id)) await queue.running
  }

  /** It is not known whether Redis has taken this node's claim in. */
  #isUnsure(id: PeerId): boolean {
    return this.#unwritten.get(id)?.kind === 'claim'
  }

  /** This node has a claim, older than the other's. */
  #isOlder(id: PeerId, version: number): boolean {
    const unwritten = this.#unwritten.get(id)
    const own = Math.max(this.versionOf(id) ?? 0, unwritten?.kind === 'claim' ? unwritten.heardUs : 0)
    return own !== 0 && own <= Math.abs(version)
  }

  #giveUp(id: PeerId): void {
    this.#enqueue(id, { kind: 'release' }).catch(() => {})
  }

  /** Redis, or a later claim of another node, says that the device is not here. */
  lose(id: PeerId): void {
    this.#drop(id)
    this.#parts.onLost(id)
  }

  /** Redis may have lost what it confirmed, also what is being confirmed right now. */
  noteLoss(): void {
    this.#losses++
  }

  /** Redis names this node for the device, under this version. @param how `written`: it did not before */
  confirm(id: PeerId, version: number, how: 'claimed' | 'held' | 'written'): void {
    this.#unwritten.delete(id)
    this.#bucketOf(id).set(id, version)
    if (how === 'written') this.#rewritten.add(id)
    else this.#rewritten.delete(id)
  }

  /** Devices that have gone from here, and Redis may not know. */
  unwrittenReleases(): PeerId[] {
    const ids: PeerId[] = []
    for (const [id, { kind }] of this.#unwritten) if (kind === 'release' && !this.#queues.has(id)) ids.push(id)
    return ids
  }

  /** Redis knows now. A claim that came meanwhile stays. */
  confirmReleases(ids: readonly PeerId[]): void {
    for (const id of ids) if (this.#unwritten.get(id)?.kind === 'release') this.#unwritten.delete(id)
  }

  /** Resolves when no step is under way. */
  async settled(): Promise<void> {
    while (this.#queues.size > 0) await Promise.all([...this.#queues.values()].map(({ running }) => running))
  }

  #enqueue(id: PeerId, wish: Unwritten): Promise<void> {
    let queue = this.#queues.get(id)
    if (!queue) {
      queue = { running: undefined, next: undefined }
      this.#queues.set(id, queue)
    }
    if (queue.next) queue.next.wish = wish
    else queue.next = { wish, ...Promise.withResolvers<void>() }
    const { promise } = queue.next
    queue.running ??= this.#work(id, queue)
    return promise
  }

  #nowUs(): number {
    return Math.floor(this.#parts.connection.nowMs() * 1_000) - CLOCK_ERROR_US
  }

  async #work(id: PeerId, queue: Queue): Promise<void> {
    for (let step = queue.next; step; step = queue.next) {
      queue.next = undefined
      const { wish } = step
      try {
        if (wish.kind === 'claim') await this.#claim(id, wish)
        else await this.#release(id)
        step.resolve()
      } catch (error) {
        this.#unwritten.set(id, wish)
        // Told before anybody else may claim the device here again.
        if (wish.kind === 'claim') this.#parts.onUnwritten(id, wish.heardUs)
        step.reject(error)
      }
    }
    this.#queues.delete(id)
  }

  async #claim(id: PeerId, { ip }: UnwrittenClaim): Promise<void> {
    const { connection, incarnation, onTaken, onTook } = this.#parts
    const losses = this.#losses
    const isUnsure = this.#unwritten.has(id)
    const reply = await connection.run({
      script: CLAIM,
      keys: [connection.keys.presence(id)],
      args: [incarnation, this.nextNumber(), PRESENCE_LIFETIME_MS, ip, this.via(id)],
    })
    const [version, former, before] = reply as [string, string, string]
    this.confirm(id, Number(version), 'claimed')
    if (this.#losses !== losses) this.#unwritten.set(id, { kind: 'claim', ip, heardUs: Number(version) })
    // Where the answer to an earlier claim was lost, nobody has told whom that took the device from.
    const toTell = former === '' && isUnsure ? before : former
    if (toTell !== '') onTaken(id, Number(version), toTell as NodeId)
    if (former !== '') onTook(id)
  }

  async #release(id: PeerId): Promise<void> {
    const { connection, incarnation, onTaken } = this.#parts
    const isUnsure = this.#unwritten.has(id)
    this.#drop(id)
    const reply = await connection.run({
      script: RELEASE,
      keys: [connection.keys.presence(id)],
      args: [incarnation, this.nextNumber()],
    })
    const [version, before] = reply as [string, string]
    if (isUnsure && before !== '') onTaken(id, Number(version), before as NodeId)
  }

  #drop(id: PeerId): void {
    this.#bucketOf(id).delete(id)
    this.#vias.delete(id)
    this.#rewritten.delete(id)
    this.#unwritten.delete(id)
  }

  #bucketOf(id: PeerId): Map<PeerId, number> {
    return this.#held[peerBucket(id)] as Map<PeerId, number>
  }
}
