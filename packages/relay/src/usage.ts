import type { Endpoint } from '@tryst/protocol'

/** What a pair has carried, both directions together, brought up to date about once a second. */
export interface UsageRecord {
  /** The half that came second. */
  readonly remote: Endpoint
  readonly ageMs: number
  readonly totalBits: number
  readonly highestBitsPerMs: number
  readonly lastBitsPerMs: number
}

/** How often a pair's figures are brought up to date, and its addresses looked up in the lists. */
export const EVALUATION_MS = 1000

export class UsageMeter {
  readonly startedAt: number
  totalBits = 0
  #evaluatedAt: number
  #evaluatedBits = 0
  #highestBitsPerMs = 0
  #lastBitsPerMs = 0

  constructor(now: number) {
    this.startedAt = now
    this.#evaluatedAt = now
  }

  get isEvaluated(): boolean {
    return this.#evaluatedAt > this.startedAt
  }

  isDue(now: number): boolean {
    return now - this.#evaluatedAt >= EVALUATION_MS
  }

  evaluate(now: number): void {
    this.#lastBitsPerMs = Math.trunc((this.totalBits - this.#evaluatedBits) / (now - this.#evaluatedAt))
    this.#highestBitsPerMs = Math.max(this.#highestBitsPerMs, this.#lastBitsPerMs)
    this.#evaluatedBits = this.totalBits
    this.#evaluatedAt = now
  }

  record(remote: Endpoint): UsageRecord {
    return {
      remote,
      ageMs: this.#evaluatedAt - this.startedAt,
      totalBits: this.#evaluatedBits,
      highestBitsPerMs: this.#highestBitsPerMs,
      lastBitsPerMs: this.#lastBitsPerMs,
    }
  }
}
