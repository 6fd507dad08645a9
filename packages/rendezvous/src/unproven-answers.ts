import { sourcePrefix } from '@tryst/protocol'
import { boundedTable } from './bounded-table.ts'

const WINDOW_MS = 10_000
/** Of what one address asks for. */
const PER_ADDRESS = 20
const PER_SECOND = 500

interface Window {
  startMs: number
  count: number
}

/**
 * Answers over UDP that are larger than what asked for them, to addresses that may be forged: few enough to be of no
 * use to anybody who wants to flood a third party.
 */
export class UnprovenAnswers {
  readonly #addresses = boundedTable<Window>(10_000)
  readonly #all: Window = { startMs: 0, count: 0 }

  /** @param perAddress within ten seconds */
  constructor(private readonly perAddress = PER_ADDRESS) {}

  admit(ip: string, nowMs: number): boolean {
    if (nowMs - this.#all.startMs >= 1_000) {
      this.#all.startMs = nowMs
      this.#all.count = 0
    }
    const source = sourcePrefix(ip)
    const window = this.#addresses.get(source)
    if (!window || nowMs - window.startMs >= WINDOW_MS) {
      this.#addresses.set(source, { startMs: nowMs, count: 1 })
    } else if (++window.count > this.perAddress) return false
    return ++this.#all.count <= PER_SECOND
  }
}
