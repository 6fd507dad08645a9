/** Keeps a run within its time: further rounds are given up first, then everything. */
export class TimeLimit {
  readonly #startMs = performance.now()
  readonly #limitMs: number

  /** @param onOver called once, when the time is up; the run ends there */
  constructor(limitSeconds: number, onOver: () => void) {
    this.#limitMs = limitSeconds * 1000
    setTimeout(onOver, this.#limitMs).unref()
  }

  /** Whether a further round of a figure may cost the figures that are still to come. */
  isPast(share: number): boolean {
    return performance.now() - this.#startMs > this.#limitMs * share
  }
}
