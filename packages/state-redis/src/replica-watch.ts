/** For so long a primary has to say without a break that it has no replica before those that it had count as removed. */
export const REPLICAS_REMOVED_AFTER_MS = 600_000
/** Whoever heard nothing for longer than this, asleep or without Redis, begins to count anew. */
const LONGEST_GAP_MS = 60_000

/**
 * Whether replicas are to be waited for behind a primary. One that was seen is: while it is away the primary may be the
 * one that is cut off, and what it accepts alone may be lost. Only what has been gone for long counts as removed by the
 * operator (docs/state.md, Redis).
 */
export class ReplicaWatch {
  readonly #removedAfterMs: number
  readonly #now: () => number
  #areExpected = false
  #wereRemoved = false
  /** Since when the primary has said that it has none, and when it said so last. */
  #none: { sinceMs: number; toldMs: number } | undefined

  constructor(removedAfterMs = REPLICAS_REMOVED_AFTER_MS, now: () => number = () => performance.now()) {
    this.#removedAfterMs = removedAfterMs
    this.#now = now
  }

  /** What is acknowledged has to reach a replica. */
  get areExpected(): boolean {
    return this.#areExpected
  }

  /** There were some, and they have been gone for so long that they are not expected any more. */
  get wereRemoved(): boolean {
    return this.#wereRemoved
  }

  /** What the primary says now. */
  told(replicas: number): void {
    if (replicas > 0) {
      this.#areExpected = true
      this.#wereRemoved = false
      this.#none = undefined
      return
    }
    if (!this.#areExpected) return
    const nowMs = this.#now()
    const before = this.#none
    const sinceMs = before && nowMs - before.toldMs <= LONGEST_GAP_MS ? before.sinceMs : nowMs
    this.#none = { sinceMs, toldMs: nowMs }
    if (nowMs - sinceMs < this.#removedAfterMs) return
    this.#areExpected = false
    this.#wereRemoved = true
    this.#none = undefined
  }

  /** The primary can't be asked: who answers next may be another one. */
  lost(): void {
    this.#none = undefined
  }
}
