/** Load is the mean of so long: short bursts don't count, and it is old news after a few renewals of an announcement. */
const WINDOW_MS = 5_000

/** A sample that comes sooner than this after the last one tells nothing new. */
const MIN_STEP_MS = 200

interface Sample {
  readonly at: number
  readonly bits: number
}

/** Turns a count of bits that only grows into bits a second over the last seconds. It is asked about once a second. */
export class LoadMeter {
  #samples: readonly Sample[]
  #bitsPerSecond = 0

  constructor(now: number, bits = 0) {
    this.#samples = [{ at: now, bits }]
  }

  measure(now: number, bits: number): number {
    const last = this.#samples.at(-1)
    if (last && now - last.at < MIN_STEP_MS) return this.#bitsPerSecond
    // The newest of those that are too old is kept: the window begins there.
    const firstInside = this.#samples.findIndex(({ at }) => at > now - WINDOW_MS)
    const from = firstInside < 0 ? this.#samples.length - 1 : Math.max(0, firstInside - 1)
    this.#samples = [...this.#samples.slice(from), { at: now, bits }]
    const [oldest] = this.#samples
    if (oldest) this.#bitsPerSecond = Math.round(((bits - oldest.bits) * 1000) / (now - oldest.at))
    return this.#bitsPerSecond
  }
}
