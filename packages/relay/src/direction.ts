import { FrameDecoder, ProtocolError } from '@tryst/protocol'
import type { Timer } from './clock.ts'
import type { Pair } from './pair.ts'
import type { HalfListener, RelayHalf } from './relay-half.ts'
import { TokenBucket } from './token-bucket.ts'

/** Most that is read at once moves in this time at the limit. */
const READ_MS = 20
const MIN_READ_BYTES = 4 * 1024

/**
 * One direction of a pair: passes on what one half sends, and stops reading from it while the other does not take it
 * or the bandwidth is used up. Each direction has its own limit, so that neither slows the other.
 */
export class Direction implements HalfListener {
  readonly #pair: Pair
  readonly #bucket: TokenBucket
  /** Shared with all pairs. */
  readonly #totalBucket: TokenBucket
  /** Cuts a TCP stream into messages for a WebSocket. */
  readonly #frames: FrameDecoder | undefined
  #opposite: Direction | undefined
  #isBlocked = false
  #throttle: Timer | undefined
  #unsentBytes = 0
  #progressAt = 0
  hasEnded = false
  lastBytesAt: number

  constructor(
    pair: Pair,
    readonly from: RelayHalf,
    readonly to: RelayHalf,
    options: {
      readonly limitBitsPerSecond: number
      readonly totalBucket: TokenBucket
      readonly maxMessageBytes: number
      readonly now: number
    },
  ) {
    this.#pair = pair
    this.#totalBucket = options.totalBucket
    this.#bucket = new TokenBucket(options.limitBitsPerSecond, options.now)
    this.lastBytesAt = options.now
    if (pair.mode === 'messages' && from.transport === 'tcp') this.#frames = new FrameDecoder(options.maxMessageBytes)
    this.#limitReads(options.limitBitsPerSecond)
  }

  join(opposite: Direction): void {
    this.#opposite = opposite
  }

  get isReading(): boolean {
    return !this.#isBlocked && this.#throttle === undefined
  }

  /** What was read has not been taken by the other side yet. */
  get isBlocked(): boolean {
    return this.#isBlocked
  }

  setLimit(limitBitsPerSecond: number, now: number): void {
    this.#bucket.setLimit(limitBitsPerSecond, now)
    this.#limitReads(limitBitsPerSecond)
  }

  onBytes(bytes: Uint8Array): boolean {
    const now = this.#pair.now()
    this.lastBytesAt = now
    const payloadBytes = this.#pass(bytes)
    if (payloadBytes < 0) {
      this.#pair.finish('malformed_frame')
      // Frames before the bad one may still wait to be sent.
      return false
    }
    if (this.to.hasUnsent) {
      this.#isBlocked = true
      this.#unsentBytes = this.to.unsentBytes
      this.#progressAt = now
    }
    const bits = payloadBytes * 8
    this.#pair.account(bits, now)
    const waitMs = Math.max(this.#bucket.take(bits, now), this.#totalBucket.take(bits, now))
    if (waitMs > 0 && bits > 0 && this.#throttle === undefined && !this.#pair.isOver) {
      this.#throttle = this.#pair.after(waitMs, () => this.#endThrottle())
    }
    return this.isReading
  }

  onActivity(): void {
    this.#pair.noteActivity()
  }

  /** `from` has taken all that the opposite direction wrote to it. */
  onDrain(): void {
    this.#opposite?.unblock()
  }

  onOversized(): void {
    this.#pair.finish('malformed_frame')
  }

  onEnd(): void {
    if (this.hasEnded) return
    this.hasEnded = true
    this.#pair.directionEnded(this)
  }

  onClose(): void {
    this.#pair.finish('closed')
  }

  unblock(): void {
    if (!this.#isBlocked) return
    this.#isBlocked = false
    this.#pair.noteActivity()
    if (this.isReading) this.from.resume()
  }

  /** How long the receiver has not taken a single byte of what waits for it. */
  stalledMs(now: number): number {
    if (!this.#isBlocked) return 0
    const unsentBytes = this.to.unsentBytes
    if (unsentBytes < this.#unsentBytes) {
      this.#unsentBytes = unsentBytes
      this.#progressAt = now
    }
    return now - this.#progressAt
  }

  stop(): void {
    this.#throttle?.cancel()
    this.#throttle = undefined
  }

  #endThrottle(): void {
    this.#throttle = undefined
    if (this.isReading) this.from.resume()
  }

  /** @returns payload bytes that were passed on, -1 when the stream does not consist of frames */
  #pass(bytes: Uint8Array): number {
    if (this.#pair.mode === 'raw') {
      this.to.writeBytes(bytes)
      return bytes.length
    }
    if (!this.#frames) return this.#passMessage(bytes)
    let payloadBytes = 0
    try {
      this.#frames.push(bytes, (payload) => {
        payloadBytes += this.#passMessage(payload)
        return true
      })
    } catch (error) {
      if (error instanceof ProtocolError) return -1
      throw error
    }
    return payloadBytes
  }

  #passMessage(payload: Uint8Array): number {
    if (payload.length > 0) this.to.writeMessage(payload)
    return payload.length
  }

  #limitReads(limitBitsPerSecond: number): void {
    this.from.limitReads(Math.max(MIN_READ_BYTES, Math.trunc((limitBitsPerSecond / 8 / 1000) * READ_MS)))
  }
}
