import { sourcePrefix } from '@tryst/protocol'
import { boundedTable } from './bounded-table.ts'
import type { DeviceAnswer } from './cluster.ts'

const WINDOW_MS = 60_000
/** A controller waits for 40 s: whoever tries so many of 65,536 ports hardly ever finds the one. */
const WRONG_PER_WINDOW = 200
const MAX_SOURCES = 10_000
const IPV6_HANDLE_BYTES = 18

interface Window {
  readonly startMs: number
  count: number
}

/**
 * Sources that answer what nobody asked. LocalAddr and IPv6 bring back of a handle's secret only the 16 bits of its
 * port: few enough to be tried one after the other, if nobody counted.
 */
export class AnswerGuesses {
  readonly #wrong = boundedTable<Window>(MAX_SOURCES)

  /** @param isHidden whether somebody at this address may be anybody: then one must not be blamed for all */
  constructor(private readonly isHidden: (ip: string) => boolean) {}

  /** Whether an answer may be looked at. */
  admit(answer: DeviceAnswer, nowMs: number): boolean {
    if (!isShortSecret(answer)) return true
    const window = this.#wrong.get(sourcePrefix(answer.from.ip))
    return !window || window.count < WRONG_PER_WINDOW || nowMs - window.startMs >= WINDOW_MS
  }

  /** Nobody waits for the answer. */
  missed(answer: DeviceAnswer, nowMs: number): void {
    if (!isShortSecret(answer) || this.isHidden(answer.from.ip)) return
    const source = sourcePrefix(answer.from.ip)
    const window = this.#wrong.get(source)
    if (window && nowMs - window.startMs < WINDOW_MS) window.count++
    else this.#wrong.set(source, { startMs: nowMs, count: 1 })
  }
}

const isShortSecret = ({ kind, handle }: DeviceAnswer) => kind === 'local-addr' || handle.length === IPV6_HANDLE_BYTES
