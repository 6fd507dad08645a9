import type { AddressList } from './address-list.ts'
import { Arrival, type Reception } from './arrival.ts'
import { Bandwidth, type BandwidthSettings } from './bandwidth.ts'
import type { Clock, Timer } from './clock.ts'
import { RelayCounters } from './counters.ts'
import type { ArrivalEnd, PairEnd, RelayEvents } from './events.ts'
import { Pair, type PairContext } from './pair.ts'
import type { RelayHalf } from './relay-half.ts'
import { decideRequest } from './relay-request.ts'
import { TokenBucket } from './token-bucket.ts'
import type { UsageRecord } from './usage.ts'
import { WaitingHalves, type WaitingLimits } from './waiting-halves.ts'

export interface RelaySettings {
  /** What clients must present; undefined: anybody may use this relay. */
  readonly expectedKey: string | undefined
  readonly bandwidth: BandwidthSettings
  readonly waiting: WaitingLimits
  /** A longer first message is refused by its header. */
  readonly firstMessageMaxBytes: number
  /** Longest message where frames and WebSocket messages are translated: it has to be held in memory. */
  readonly maxMessageBytes: number
  readonly firstMessageMs: number
  readonly pairMs: number
}

export const DEFAULT_RELAY_SETTINGS = Object.freeze({
  firstMessageMaxBytes: 4 * 1024,
  // What stock clients take in one WebSocket frame.
  maxMessageBytes: 16 * 1024 * 1024,
  firstMessageMs: 30_000,
  pairMs: 30_000,
})

const SWEEP_MS = 1000

/** The relay: brings the two halves of a session together and watches over them. */
export class Relay {
  readonly bandwidth: Bandwidth
  readonly counters = new RelayCounters()
  readonly #settings: RelaySettings
  readonly #clock: Clock
  readonly #events: RelayEvents
  readonly #lists: { readonly blocklist: AddressList; readonly blacklist: AddressList }
  readonly #totalBuckets: { readonly forth: TokenBucket; readonly back: TokenBucket }
  readonly #waiting: WaitingHalves<Arrival>
  readonly #arriving = new Set<Arrival>()
  readonly #pairs = new Set<Pair>()
  readonly #pairContext: PairContext
  readonly #reception: Reception
  #sweep: Timer | undefined
  #isClosed = false
  #whenNobodyWaits: (() => void)[] = []
  #whenNobodyRelays: (() => void)[] = []

  constructor(options: {
    readonly settings: RelaySettings
    readonly clock: Clock
    readonly events: RelayEvents
    readonly blocklist: AddressList
    readonly blacklist: AddressList
  }) {
    this.#settings = options.settings
    this.#clock = options.clock
    this.#events = options.events
    this.#lists = options
    this.bandwidth = new Bandwidth(options.settings.bandwidth)
    const totalBucket = () => new TokenBucket(this.bandwidth.totalBitsPerSecond, options.clock.now())
    this.#totalBuckets = { forth: totalBucket(), back: totalBucket() }
    this.#waiting = new WaitingHalves(options.settings.waiting)
    this.#pairContext = this.#makePairContext()
    this.#reception = {
      firstMessageMaxBytes: options.settings.firstMessageMaxBytes,
      firstMessage: (arrival, payload) => this.#firstMessage(arrival, payload),
      lost: (arrival, reason) => this.#turnAway(arrival, reason),
    }
  }

  get waitingCount(): number {
    return this.#waiting.size
  }

  get pairCount(): number {
    return this.#pairs.size
  }

  get arrivingCount(): number {
    return this.#arriving.size
  }

  /** Figures of the running pairs that have been evaluated, the largest total first. */
  usage(): UsageRecord[] {
    const records: UsageRecord[] = []
    for (const pair of this.#pairs) if (pair.usage) records.push(pair.usage)
    return records.sort((a, b) => b.totalBits - a.totalBits)
  }

  /** Whether connections from this address are closed before anything is read from them. */
  refuses(ip: string): boolean {
    if (!this.#lists.blocklist.includes(ip)) return false
    this.counters.turnedAway.blocked_address++
    this.#events.turnedAway('blocked_address', { ip, port: 0 })
    return true
  }

  /**
   * Takes over a connection that was accepted, a WebSocket after its upgrade.
   *
   * @param spentMs how much of the time for the first message is over
   */
  arrive(half: RelayHalf, spentMs = 0): void {
    const arrival = new Arrival(half, this.#reception)
    this.#arriving.add(arrival)
    this.counters.arrived++
    if (this.#isClosed) this.#turnAway(arrival, 'draining')
    else if (this.#lists.blocklist.includes(half.remote.ip)) this.#turnAway(arrival, 'blocked_address')
    else {
      arrival.timer = this.#clock.after(this.#settings.firstMessageMs - spentMs, () => {
        if (!arrival.hasFirstMessage) this.#turnAway(arrival, 'first_message_timeout')
      })
    }
  }

  /** The limit of all pairs together acts at once. */
  setTotalMegabits(megabits: number): void {
    this.bandwidth.totalMegabits = megabits
    for (const bucket of Object.values(this.#totalBuckets)) {
      bucket.setLimit(this.bandwidth.totalBitsPerSecond, this.#clock.now())
    }
  }

  /** Resolves as soon as no half waits for its partner. */
  nobodyWaits(): Promise<void> {
    if (this.#waiting.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenNobodyWaits.push(resolve))
  }

  /** Resolves as soon as no pair is left. */
  nobodyRelays(): Promise<void> {
    if (this.#pairs.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenNobodyRelays.push(resolve))
  }

  /** Turns away whoever is not half of a pair, now and from now on. */
  closeArrivals(): void {
    this.#isClosed = true
    for (const arrival of [...this.#arriving, ...this.#waiting]) this.#turnAway(arrival, 'draining')
  }

  closePairs(): void {
    for (const pair of [...this.#pairs]) pair.finish('draining')
  }

  #firstMessage(arrival: Arrival, payload: Uint8Array): void {
    const decision = decideRequest(payload, this.#settings.expectedKey)
    if (decision.kind === 'refuse') {
      this.#turnAway(arrival, decision.reason)
      return
    }
    arrival.uuid = decision.uuid
    arrival.role = decision.role
    const place = this.#waiting.takeOrPut(decision.uuid, arrival)
    switch (place.kind) {
      case 'refused':
        arrival.uuid = ''
        this.#turnAway(arrival, place.reason)
        return
      case 'waiting':
        this.#letWait(arrival)
        return
      case 'paired':
        this.#pair(place.partner, arrival)
        return
      default:
        place satisfies never
    }
  }

  #letWait(arrival: Arrival): void {
    arrival.timer?.cancel()
    this.#arriving.delete(arrival)
    arrival.half.prove()
    arrival.wait()
    arrival.timer = this.#clock.after(this.#settings.pairMs, () => this.#turnAway(arrival, 'pair_timeout'))
    this.#events.waiting(arrival.uuid, arrival.half.remote)
  }

  #pair(first: Arrival, second: Arrival): void {
    this.#arriving.delete(second)
    second.half.prove()
    // Where the two do not say which they are, the one that came second counts as the controller.
    const controller = first.role === 'controller' && second.role === 'device' ? first.half : second.half
    const pair = new Pair({ first: first.half, second: second.half, controller }, this.#pairContext)
    this.counters.paired++
    this.#events.paired(second.uuid, second.half.remote, pair.mode)
    first.handOver(pair.from(first.half))
    second.handOver(pair.from(second.half))
    if (!pair.isOver) {
      this.#pairs.add(pair)
      this.#sweep ??= this.#clock.after(SWEEP_MS, () => this.#sweepPairs())
    }
    this.#noteWaitingGone()
  }

  #turnAway(arrival: Arrival, reason: ArrivalEnd): void {
    // A timer may fire for a uuid under which somebody else waits by now: only this very arrival is removed.
    const waited = arrival.uuid !== '' && this.#waiting.remove(arrival.uuid, arrival)
    if (!this.#arriving.delete(arrival) && !waited) return
    arrival.turnAway()
    this.counters.turnedAway[reason]++
    this.#events.turnedAway(reason, arrival.half.remote)
    this.#noteWaitingGone()
  }

  #noteWaitingGone(): void {
    if (this.#waiting.size > 0) return
    for (const resolve of this.#whenNobodyWaits.splice(0)) resolve()
  }

  #sweepPairs(): void {
    const now = this.#clock.now()
    for (const pair of this.#pairs) pair.sweep(now)
    this.#sweep = this.#pairs.size > 0 ? this.#clock.after(SWEEP_MS, () => this.#sweepPairs()) : undefined
  }

  #makePairContext(): PairContext {
    return {
      clock: this.#clock,
      bandwidth: this.bandwidth,
      totalBuckets: this.#totalBuckets,
      blocklist: this.#lists.blocklist,
      blacklist: this.#lists.blacklist,
      maxMessageBytes: this.#settings.maxMessageBytes,
      carried: (bits) => {
        this.counters.bytesRelayed += bits / 8
      },
      downgraded: (pair, thresholdBitsPerMs, ageMs) => {
        this.counters.downgraded++
        this.#events.downgraded(pair.remote, thresholdBitsPerMs, ageMs)
      },
      finished: (pair, reason) => this.#pairFinished(pair, reason),
    }
  }

  #pairFinished(pair: Pair, reason: PairEnd): void {
    this.#pairs.delete(pair)
    this.counters.pairsEnded[reason]++
    this.#events.pairEnded(reason, pair.remote, pair.ageMs(this.#clock.now()), pair.totalBits)
    if (this.#pairs.size === 0) for (const resolve of this.#whenNobodyRelays.splice(0)) resolve()
  }
}
