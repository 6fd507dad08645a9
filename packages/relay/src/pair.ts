import type { Endpoint } from '@tryst/protocol'
import type { AddressList } from './address-list.ts'
import type { Bandwidth } from './bandwidth.ts'
import type { Clock, Timer } from './clock.ts'
import { Direction } from './direction.ts'
import { isOveruse } from './downgrade.ts'
import type { PairEnd, PairMode } from './events.ts'
import type { RelayHalf } from './relay-half.ts'
import type { TokenBucket } from './token-bucket.ts'
import { UsageMeter, type UsageRecord } from './usage.ts'

/** The usual `idleSeconds`. */
export const IDLE_SECONDS = 30

/** A receiver that takes nothing for so long ends its pair. */
export const BLOCKED_WRITE_MS = 60_000

/** When one side has ended, the other's last words are passed on until it has been quiet for this long ... */
const LAST_WORDS_QUIET_MS = 500

/** ... but no longer than this, unless they wait for a slow receiver. */
const LAST_WORDS_MS = 10_000

/** What pairs share. */
export interface PairContext {
  readonly clock: Clock
  readonly bandwidth: Bandwidth
  /** Limits of all pairs together: from controllers to devices, and back. */
  readonly totalBuckets: { readonly forth: TokenBucket; readonly back: TokenBucket }
  readonly blocklist: AddressList
  readonly blacklist: AddressList
  readonly maxMessageBytes: number
  /** A pair without a byte from either side for more than this many whole seconds is ended. */
  readonly idleSeconds: number
  carried(bits: number): void
  downgraded(pair: Pair, thresholdBitsPerMs: number, ageMs: number): void
  finished(pair: Pair, reason: PairEnd): void
}

/** Two halves of a session that have met. */
export class Pair {
  readonly first: RelayHalf
  readonly second: RelayHalf
  readonly mode: PairMode
  /** Name of the session. */
  readonly uuid: string
  readonly #context: PairContext
  readonly #meter: UsageMeter
  readonly #forth: Direction
  readonly #back: Direction
  /** Limits read when the pair started: changes by the console are for new pairs. */
  readonly #singleBitsPerSecond: number
  readonly #limitedBitsPerSecond: number
  readonly #thresholdBitsPerMs: number
  #lastActivityAt: number
  #isDowngraded = false
  #isBlacklisted = false
  #listVersions = -1
  #lastWords: Timer | undefined
  #lastWordsUntil = 0
  #isOver = false

  constructor(
    { first, second, controller, uuid }: { first: RelayHalf; second: RelayHalf; controller: RelayHalf; uuid: string },
    context: PairContext,
  ) {
    const now = context.clock.now()
    this.first = first
    this.second = second
    this.uuid = uuid
    this.mode = first.transport === 'tcp' && second.transport === 'tcp' ? 'raw' : 'messages'
    this.#context = context
    this.#meter = new UsageMeter(now)
    this.#lastActivityAt = now
    this.#singleBitsPerSecond = context.bandwidth.singleBitsPerSecond
    this.#limitedBitsPerSecond = context.bandwidth.limitedBitsPerSecond
    this.#thresholdBitsPerMs = context.bandwidth.downgradeBitsPerMs
    const options = {
      limitBitsPerSecond: this.#singleBitsPerSecond,
      maxMessageBytes: context.maxMessageBytes,
      now,
    }
    const { forth, back } = context.totalBuckets
    const [fromFirst, fromSecond] = controller === first ? [forth, back] : [back, forth]
    this.#forth = new Direction(this, first, second, { ...options, totalBucket: fromFirst })
    this.#back = new Direction(this, second, first, { ...options, totalBucket: fromSecond })
    this.#forth.join(this.#back)
    this.#back.join(this.#forth)
    first.listen(this.#forth)
    second.listen(this.#back)
    this.#lookUpInLists(now)
  }

  /** The direction that starts at this half. */
  from(half: RelayHalf): Direction {
    return half === this.first ? this.#forth : this.#back
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Undefined until the pair has been evaluated for the first time, about a second after its start. */
  get usage(): UsageRecord | undefined {
    return this.#meter.isEvaluated ? this.#meter.record(this.second.remote) : undefined
  }

  get remote(): Endpoint {
    return this.second.remote
  }

  get totalBits(): number {
    return this.#meter.totalBits
  }

  ageMs(now: number): number {
    return now - this.#meter.startedAt
  }

  now(): number {
    return this.#context.clock.now()
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#context.clock.after(delayMs, run)
  }

  noteActivity(): void {
    this.#lastActivityAt = this.now()
  }

  /**
   * Counts what a direction has passed on.
   */
  account(bits: number, now: number): void {
    this.#lastActivityAt = now
    this.#meter.totalBits += bits
    this.#context.carried(bits)
    if (this.#meter.isDue(now)) this.#evaluate(now)
  }

  /** Called about once a second. */
  sweep(now: number): void {
    if (this.#meter.isDue(now)) this.#evaluate(now)
    if (this.#isOver) return
    for (const direction of [this.#forth, this.#back]) {
      if (direction.stalledMs(now) < BLOCKED_WRITE_MS) continue
      direction.to.destroy()
      this.finish('write_blocked')
      return
    }
    // Who waits for a slow receiver, or for bandwidth, is not idle.
    if (!this.#forth.isReading || !this.#back.isReading) return
    if (now - this.#lastActivityAt >= (this.#context.idleSeconds + 1) * 1000) this.finish('idle')
  }

  /** One side sends nothing more. What the other has sent already is still passed on, then the pair ends. */
  directionEnded(direction: Direction): void {
    const opposite = direction === this.#forth ? this.#back : this.#forth
    if (opposite.hasEnded || direction.from.transport === 'websocket') {
      this.finish('closed')
      return
    }
    direction.to.end()
    this.#lastWordsUntil = this.now() + LAST_WORDS_MS
    this.#awaitLastWords(opposite)
  }

  finish(reason: PairEnd): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#forth.stop()
    this.#back.stop()
    this.#lastWords?.cancel()
    this.first.close()
    this.second.close()
    this.#context.finished(this, reason)
  }

  #awaitLastWords(direction: Direction, delayMs = LAST_WORDS_QUIET_MS): void {
    this.#lastWords = this.after(delayMs, () => {
      const now = this.now()
      const quietMs = now - direction.lastBytesAt
      const isQuiet = direction.isReading && quietMs >= LAST_WORDS_QUIET_MS
      if (isQuiet || (now > this.#lastWordsUntil && !direction.isBlocked)) this.finish('closed')
      else this.#awaitLastWords(direction, quietMs < LAST_WORDS_QUIET_MS ? LAST_WORDS_QUIET_MS - quietMs : undefined)
    })
  }

  #evaluate(now: number): void {
    this.#meter.evaluate(now)
    const ageMs = this.ageMs(now)
    if (
      !this.#isDowngraded &&
      isOveruse({
        ageMs,
        totalBits: this.#meter.totalBits,
        startSeconds: this.#context.bandwidth.downgradeStartSeconds,
        thresholdBitsPerMs: this.#thresholdBitsPerMs,
      })
    ) {
      this.#isDowngraded = true
      this.#applyLimit(now)
      this.#context.downgraded(this, this.#thresholdBitsPerMs, ageMs)
    }
    this.#lookUpInLists(now)
  }

  /** Either side in the blocklist ends the pair, in the blacklist slows it down. */
  #lookUpInLists(now: number): void {
    const { blocklist, blacklist } = this.#context
    const versions = blocklist.version + blacklist.version
    if (versions === this.#listVersions) return
    this.#listVersions = versions
    const isBlacklisted = blacklist.includes(this.first.remote.ip) || blacklist.includes(this.second.remote.ip)
    if (isBlacklisted !== this.#isBlacklisted) {
      this.#isBlacklisted = isBlacklisted
      this.#applyLimit(now)
    }
    if (blocklist.includes(this.first.remote.ip) || blocklist.includes(this.second.remote.ip)) {
      this.finish('blocked_address')
    }
  }

  #applyLimit(now: number): void {
    const isSlow = this.#isDowngraded || this.#isBlacklisted
    const limit = isSlow ? this.#limitedBitsPerSecond : this.#singleBitsPerSecond
    this.#forth.setLimit(limit, now)
    this.#back.setLimit(limit, now)
  }
}
