import type { AddressList } from './address-list.ts'
import type { Arrival } from './arrival.ts'
import { Bandwidth, type BandwidthSettings } from './bandwidth.ts'
import type { Clock, Timer } from './clock.ts'
import type { RelayCounters } from './counters.ts'
import type { PairEnd, RelayEvents } from './events.ts'
import { IDLE_SECONDS, Pair, type PairContext } from './pair.ts'
import type { RelayHalf } from './relay-half.ts'
import { TokenBucket } from './token-bucket.ts'
import type { UsageRecord } from './usage.ts'

const SWEEP_MS = 1000

/** Beyond what any machine carries. */
const UNLIMITED_MEGABITS = 1e9

/**
 * A session that another relay counts is ended by that relay; this is for the case that it can't any more. Pings of a
 * WebSocket are seen by its own relay only.
 */
const JOINED_IDLE_SECONDS = { tcp: IDLE_SECONDS + 2, websocket: 3 * IDLE_SECONDS }

/** The sessions of a relay: what limits them all together, watches over them and counts them. */
export class Pairs {
  readonly bandwidth: Bandwidth
  readonly #clock: Clock
  readonly #counters: RelayCounters
  readonly #events: RelayEvents
  readonly #totalBuckets: PairContext['totalBuckets']
  readonly #unlimitedBuckets: PairContext['totalBuckets']
  readonly #context: PairContext
  /** Limited and counted here. */
  readonly #pairs = new Set<Pair>()
  /** Limited and counted by the relay at the other end of the stream. */
  readonly #joined = new Set<Pair>()
  #sweep: Timer | undefined
  #whenNobodyRelays: (() => void)[] = []

  constructor(options: {
    readonly bandwidth: BandwidthSettings
    readonly maxMessageBytes: number
    readonly clock: Clock
    readonly counters: RelayCounters
    readonly events: RelayEvents
    readonly lists: { readonly blocklist: AddressList; readonly blacklist: AddressList }
  }) {
    this.#clock = options.clock
    this.#counters = options.counters
    this.#events = options.events
    this.bandwidth = new Bandwidth(options.bandwidth)
    this.#totalBuckets = this.#newBuckets(this.bandwidth)
    this.#unlimitedBuckets = this.#newBuckets(this.#unlimited())
    this.#context = {
      clock: options.clock,
      bandwidth: this.bandwidth,
      totalBuckets: this.#totalBuckets,
      blocklist: options.lists.blocklist,
      blacklist: options.lists.blacklist,
      maxMessageBytes: options.maxMessageBytes,
      idleSeconds: IDLE_SECONDS,
      carried: (bits) => {
        this.#counters.bytesRelayed += bits / 8
      },
      downgraded: (pair, thresholdBitsPerMs, ageMs) => {
        this.#counters.downgraded++
        this.#events.downgraded(pair.remote, thresholdBitsPerMs, ageMs)
      },
      finished: (pair, reason) => this.#finished(pair, reason),
    }
  }

  get size(): number {
    return this.#pairs.size
  }

  get joinedSize(): number {
    return this.#joined.size
  }

  /** Figures of the running pairs that have been evaluated, the largest total first. */
  usage(): UsageRecord[] {
    const records: UsageRecord[] = []
    for (const pair of this.#pairs) if (pair.usage) records.push(pair.usage)
    return records.sort((a, b) => b.totalBits - a.totalBits)
  }

  /** The limit of all pairs together acts at once. */
  setTotalMegabits(megabits: number): void {
    this.bandwidth.totalMegabits = megabits
    for (const bucket of Object.values(this.#totalBuckets)) {
      bucket.setLimit(this.bandwidth.totalBitsPerSecond, this.#clock.now())
    }
  }

  /** Both halves are here. */
  start(first: Arrival, second: Arrival): void {
    // Where the two do not say which they are, the one that came second counts as the controller.
    const controller = first.role === 'controller' && second.role === 'device' ? first.half : second.half
    const pair = new Pair({ first: first.half, second: second.half, controller, uuid: second.uuid }, this.#context)
    this.#counters.paired++
    this.#events.paired(second.uuid, second.half.remote, pair.mode, first.half.remote, first.device || second.device)
    first.handOver(pair.from(first.half))
    second.handOver(pair.from(second.half))
    this.#watch(pair, this.#pairs)
  }

  /** The other half is on another relay, which this one has dialled: the session is limited and counted here. */
  startAcross(half: Arrival, remote: RelayHalf): void {
    const pair = newPairAcross(half, remote, this.#context)
    this.#counters.paired++
    this.#counters.dialled++
    this.#events.paired(half.uuid, half.half.remote, pair.mode, undefined, half.device)
    half.handOver(pair.from(half.half))
    this.#watch(pair, this.#pairs)
  }

  /** The other half is on another relay, which has dialled this one. @param far what that half speaks */
  startJoined(half: Arrival, remote: RelayHalf, far: RelayHalf['transport']): void {
    const pair = newPairAcross(half, remote, {
      ...this.#context,
      bandwidth: this.#unlimited(),
      totalBuckets: this.#unlimitedBuckets,
      idleSeconds: JOINED_IDLE_SECONDS[far],
      carried: (bits) => {
        this.#counters.bytesJoined += bits / 8
      },
      finished: (finished, reason) => {
        this.#joined.delete(finished)
        this.#ended(finished, reason)
      },
    })
    this.#counters.joined++
    this.#events.joined(half.uuid, half.half.remote, pair.mode)
    half.handOver(pair.from(half.half))
    this.#watch(pair, this.#joined)
  }

  /** Resolves as soon as no pair is left. */
  nobodyRelays(): Promise<void> {
    if (this.#isEmpty) return Promise.resolve()
    return new Promise((resolve) => this.#whenNobodyRelays.push(resolve))
  }

  close(): void {
    for (const pair of [...this.#pairs, ...this.#joined]) pair.finish('draining')
  }

  get #isEmpty(): boolean {
    return this.#pairs.size === 0 && this.#joined.size === 0
  }

  #watch(pair: Pair, among: Set<Pair>): void {
    if (pair.isOver) return
    among.add(pair)
    this.#sweep ??= this.#clock.after(SWEEP_MS, () => this.#sweepPairs())
  }

  #sweepPairs(): void {
    const now = this.#clock.now()
    for (const pair of this.#pairs) pair.sweep(now)
    for (const pair of this.#joined) pair.sweep(now)
    this.#sweep = this.#isEmpty ? undefined : this.#clock.after(SWEEP_MS, () => this.#sweepPairs())
  }

  #finished(pair: Pair, reason: PairEnd): void {
    this.#pairs.delete(pair)
    this.#counters.pairsEnded[reason]++
    this.#ended(pair, reason)
  }

  #ended(pair: Pair, reason: PairEnd): void {
    this.#events.pairEnded(reason, pair.remote, pair.ageMs(this.#clock.now()), pair.totalBits, pair.uuid)
    if (this.#isEmpty) for (const resolve of this.#whenNobodyRelays.splice(0)) resolve()
  }

  /** No limit but that of the blacklist, which is about addresses and so for the relay that sees them. */
  #unlimited(): Bandwidth {
    return new Bandwidth({
      singleMegabits: UNLIMITED_MEGABITS,
      totalMegabits: UNLIMITED_MEGABITS,
      limitedMegabits: this.bandwidth.limitedMegabits,
      downgradeThreshold: 1,
      downgradeStartSeconds: this.bandwidth.downgradeStartSeconds,
    })
  }

  #newBuckets({ totalBitsPerSecond }: Bandwidth): PairContext['totalBuckets'] {
    const newBucket = () => new TokenBucket(totalBitsPerSecond, this.#clock.now())
    return { forth: newBucket(), back: newBucket() }
  }
}

/** The half that is here counts as the second, which logs and figures name. */
function newPairAcross(half: Arrival, remote: RelayHalf, context: PairContext): Pair {
  const controller = half.role === 'controller' ? half.half : remote
  return new Pair({ first: remote, second: half.half, controller, uuid: half.uuid }, context)
}
