/** Datagrams that one call should bring, where the rate allows it. */
const WANTED = 32
/** What is asked over UDP may wait so long for its answer; heartbeats come every 15 s and could wait for longer. */
const MAX_PAUSE_MS = 4
/** With fewer a millisecond a pause would collect too few to be worth its timer. */
const MIN_RATE = 0.5
/** With more a millisecond batches are full without a pause. */
const MAX_RATE = 48
/** Datagrams between two looks at the clock. */
const LOOK_EVERY = 64
/** The rate is that of the last looks, the newest of which counts for a quarter. */
const NEWEST = 0.25

/**
 * How long to leave datagrams lying so that some come together: waking up for one costs several times what answering it
 * does. By the rate at which they came lately.
 */
export class ReceivePace {
  #received = 0
  #lookedAtMs = 0
  #perMs = 0

  /**
   * @param count datagrams that were received since the last call
   * @returns milliseconds to wait before the next; 0: read on at once
   */
  pause(count: number, clock: () => number): number {
    this.#received += count
    if (this.#received >= LOOK_EVERY || (count === 0 && this.#perMs > 0)) this.#look(clock())
    const rate = this.#perMs
    if (rate < MIN_RATE || rate > MAX_RATE) return 0
    return Math.max(1, Math.min(MAX_PAUSE_MS, Math.floor(WANTED / rate)))
  }

  #look(nowMs: number): void {
    const elapsedMs = nowMs - this.#lookedAtMs
    if (elapsedMs <= 0) return
    const rate = this.#received / elapsedMs
    this.#perMs = this.#perMs * (1 - NEWEST) + rate * NEWEST
    this.#received = 0
    this.#lookedAtMs = nowMs
  }
}
