/** The clock can't be told better than by half of that. */
const LONGEST_ROUND_TRIP_MS = 100

/** What Redis' clock shows, reckoned from this process' monotonic clock and answers to TIME. */
export class RedisClock {
  #offsetMs: number | undefined

  /** Undefined before the first answer. */
  get offsetMs(): number | undefined {
    return this.#offsetMs
  }

  /** From several answers to TIME: the one that took least is the most exact. */
  learn(samples: readonly ClockSample[]): void {
    let best: ClockSample | undefined
    for (const sample of samples) if (!best || roundTrip(sample) < roundTrip(best)) best = sample
    if (!best || roundTrip(best) > LONGEST_ROUND_TRIP_MS) return
    this.#offsetMs = best.redisMs - (best.sentMs + best.receivedMs) / 2
  }

  nowMs(): number {
    return performance.now() + (this.#offsetMs ?? performance.timeOrigin)
  }
}

/** When TIME was asked and answered (performance.now()), and what it said. */
export interface ClockSample {
  readonly sentMs: number
  readonly receivedMs: number
  readonly redisMs: number
}

function roundTrip({ sentMs, receivedMs }: ClockSample): number {
  return receivedMs - sentMs
}

/** The answer to TIME: seconds and microseconds. */
export function timeReplyMs(reply: unknown): number {
  const [seconds, microseconds] = reply as [string, string]
  return Number(seconds) * 1000 + Number(microseconds) / 1000
}
