/** Shortest and longest wait for an acknowledgement, in milliseconds. */
const SHORTEST_WAIT_MS = 30
const LONGEST_WAIT_MS = 60_000
const FIRST_WAIT_MS = 200

/** How long acknowledgements take on this path, and how long to wait for one: as TCP estimates it. */
export class RoundTrip {
  #smoothedMs = 0
  #variationMs = 0
  #waitMs = FIRST_WAIT_MS

  /** @param intervalMs between looks at what has to be sent, which the other side's answer waits for too */
  constructor(private readonly intervalMs: number) {}

  get waitMs(): number {
    return this.#waitMs
  }

  measured(ms: number): void {
    if (this.#smoothedMs === 0) {
      this.#smoothedMs = ms
      this.#variationMs = ms / 2
    } else {
      this.#variationMs = (3 * this.#variationMs + Math.abs(ms - this.#smoothedMs)) / 4
      this.#smoothedMs = Math.max(1, (7 * this.#smoothedMs + ms) / 8)
    }
    const waitMs = this.#smoothedMs + Math.max(this.intervalMs, 4 * this.#variationMs)
    this.#waitMs = Math.min(LONGEST_WAIT_MS, Math.max(SHORTEST_WAIT_MS, waitMs))
  }
}
