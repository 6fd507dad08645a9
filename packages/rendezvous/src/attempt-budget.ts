import { sourcePrefix } from '@tryst/protocol'
import type { Clock } from './connection.ts'

/** In a second, of all sources. */
const PER_TURN = 200
/** In a minute, of one address (IPv6: /64): strangers don't push out of the trace what others look for. */
const PER_SOURCE = 600
const MINUTE_MS = 60_000

/** How much is noted for the trace. */
export class AttemptBudget {
  #used = 0
  #minuteMs = Number.NEGATIVE_INFINITY
  readonly #bySource = new Map<string, number>()

  constructor(private readonly clock: Clock) {}

  /** @param ip undefined: nobody outside has asked for it */
  admit(ip: string | undefined): boolean {
    if (this.#used >= PER_TURN) return false
    if (ip !== undefined && !this.#admitSource(sourcePrefix(ip))) return false
    this.#used++
    return true
  }

  /** To be called once a second. */
  nextTurn(): void {
    this.#used = 0
  }

  #admitSource(source: string): boolean {
    const nowMs = this.clock()
    if (nowMs - this.#minuteMs >= MINUTE_MS || nowMs < this.#minuteMs) {
      this.#minuteMs = nowMs
      this.#bySource.clear()
    }
    const used = this.#bySource.get(source) ?? 0
    if (used >= PER_SOURCE) return false
    this.#bySource.set(source, used + 1)
    return true
  }
}
