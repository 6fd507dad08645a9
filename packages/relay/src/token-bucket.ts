/** A bucket holds what flows in this time. */
const CAPACITY_MS = 100

/** A reader that was stopped gets going when it may read a little, not a byte. */
const REFILL_MS = 10

/**
 * Limits a flow to a number of bits a second. A chunk is always taken in full and the level may go below zero; the
 * answer is how long to wait before the next.
 */
export class TokenBucket {
  #limitBitsPerSecond: number
  #levelBits: number
  #filledAt: number

  constructor(limitBitsPerSecond: number, now: number) {
    this.#limitBitsPerSecond = limitBitsPerSecond
    this.#levelBits = this.#capacityBits
    this.#filledAt = now
  }

  setLimit(limitBitsPerSecond: number, now: number): void {
    this.#fill(now)
    this.#limitBitsPerSecond = limitBitsPerSecond
    this.#levelBits = Math.min(this.#levelBits, this.#capacityBits)
  }

  /** @returns milliseconds to wait before more is taken, 0 for none */
  take(bits: number, now: number): number {
    this.#fill(now)
    this.#levelBits -= bits
    if (this.#levelBits > 0) return 0
    return (-this.#levelBits / this.#limitBitsPerSecond) * 1000 + REFILL_MS
  }

  get #capacityBits(): number {
    return (this.#limitBitsPerSecond * CAPACITY_MS) / 1000
  }

  #fill(now: number): void {
    const gained = ((now - this.#filledAt) / 1000) * this.#limitBitsPerSecond
    this.#levelBits = Math.min(this.#capacityBits, this.#levelBits + gained)
    this.#filledAt = now
  }
}
