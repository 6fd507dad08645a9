import type { Logger } from './logger.ts'
import { zeroCounts } from './metrics.ts'

/** How often one warning is written to the log at most. */
const LOG_EVERY_MS = 60_000

export interface CountedWarningsOptions<Reason extends string> {
  readonly log: Pick<Logger, 'warn'>
  readonly message: string
  readonly remedy: string
  readonly reasons: readonly Reason[]
}

/** Something that strangers can make happen often: counted by reason, logged once a minute with the number of times. */
export class CountedWarnings<Reason extends string> {
  readonly counts: Record<Reason, number>
  #sinceMs = Number.NEGATIVE_INFINITY
  #unlogged = 0

  constructor(private readonly options: CountedWarningsOptions<Reason>) {
    this.counts = zeroCounts(options.reasons)
  }

  note(reason: Reason, source: string): void {
    const { log, message, remedy } = this.options
    this.counts[reason]++
    this.#unlogged++
    const nowMs = performance.now()
    if (nowMs - this.#sinceMs < LOG_EVERY_MS) return
    this.#sinceMs = nowMs
    log.warn({ reason, source, times: this.#unlogged, remedy }, message)
    this.#unlogged = 0
  }
}
