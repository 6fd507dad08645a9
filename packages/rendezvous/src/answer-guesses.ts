import { sourcePrefix } from '@tryst/protocol'
import { boundedTable } from './bounded-table.ts'
import type { DeviceAnswer } from './cluster.ts'

const WINDOW_MS = 60_000
/** A controller waits for 40 s: whoever tries so many of 65,536 ports hardly ever finds the one. */
const SHORT_PER_WINDOW = 200
/** Nobody finds 32 bits, but each of these is a question to other nodes. */
const LONG_PER_WINDOW = 2_000
/** Of all sources together: whoever has many networks gets no further. */
const SHORT_OF_ALL_PER_WINDOW = 1_000
const MAX_SOURCES = 10_000
const IPV6_HANDLE_BYTES = 18

interface Window {
  readonly startMs: number
  count: number
}

/**
 * Sources that answer what nobody asked. LocalAddr and IPv6 bring back of a handle's secret only the 16 bits of its
 * port: few enough to be tried one after the other, if nobody counted.
 *
 * Datagrams are not counted: they may come in anybody's name.
 */
export class AnswerGuesses {
  readonly #short = boundedTable<Window>(MAX_SOURCES)
  readonly #long = boundedTable<Window>(MAX_SOURCES)
  #ofAll: Window = { startMs: Number.NEGATIVE_INFINITY, count: 0 }

  /** @param isHidden whether somebody at this address may be anybody: then one must not be blamed for all */
  constructor(private readonly isHidden: (ip: string) => boolean) {}

  /** Whether an answer may be looked at. */
  admit(answer: DeviceAnswer, nowMs: number): boolean {
    if (answer.kind === 'udp-punch-hole-sent') return true
    const window = this.#tableOf(answer).get(sourcePrefix(answer.from.ip))
    const limit = isShortSecret(answer) ? SHORT_PER_WINDOW : LONG_PER_WINDOW
    return !window || window.count < limit || nowMs - window.startMs >= WINDOW_MS
  }

  /** So many have been wrong lately, of whomever, that this one has to come from the device's own address. */
  isSuspect(answer: DeviceAnswer, nowMs: number): boolean {
    const { startMs, count } = this.#ofAll
    return count >= SHORT_OF_ALL_PER_WINDOW && nowMs - startMs < WINDOW_MS && isShortSecret(answer)
  }

  /** Nobody on this node waits for the answer, which another one may have brought here. */
  noteWrong(answer: DeviceAnswer, nowMs: number): void {
    if (!isShortSecret(answer)) return
    if (nowMs - this.#ofAll.startMs >= WINDOW_MS) this.#ofAll = { startMs: nowMs, count: 0 }
    this.#ofAll.count++
  }

  /** Nobody waits for the answer here. Before other nodes are asked: many may be under way at once. */
  missed(answer: DeviceAnswer, nowMs: number): void {
    const { kind, from } = answer
    if (kind === 'udp-punch-hole-sent' || this.isHidden(from.ip)) return
    const table = this.#tableOf(answer)
    const source = sourcePrefix(from.ip)
    const window = table.get(source)
    if (window && nowMs - window.startMs < WINDOW_MS) window.count++
    else table.set(source, { startMs: nowMs, count: 1 })
  }

  /** Somebody on another node waited for it, or nobody could be asked: it is not to be blamed. */
  cleared(answer: DeviceAnswer): void {
    const window =
      answer.kind === 'udp-punch-hole-sent' ? undefined : this.#tableOf(answer).get(sourcePrefix(answer.from.ip))
    if (window && window.count > 0) window.count--
  }

  #tableOf(answer: DeviceAnswer) {
    return isShortSecret(answer) ? this.#short : this.#long
  }
}

const isShortSecret = ({ kind, handle }: DeviceAnswer) => kind === 'local-addr' || handle.length === IPV6_HANDLE_BYTES
