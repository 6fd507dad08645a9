import { AttemptRecorder, noteworthyStep, type TracePart, type TraceStore, takePart } from '@tryst/rendezvous'
import type { Logger, Metrics } from '@tryst/service'
import { TraceWriter } from '@tryst/shared-node'
import { partsOfRelay } from './relay-parts.ts'

export interface AttemptTraceOptions {
  readonly store: TraceStore
  /** What the operator calls this node. */
  readonly node: string
  /** The same of another node, where it is known. */
  readonly nameOf: (node: string) => string | undefined
  readonly random: () => number
  /** Attempts at this device are of no interest. */
  readonly isIgnored: (id: string) => boolean
  readonly log: Logger
  /** A parent process, which hands on what the relay has noted. Not there: the relay writes itself, or does not. */
  readonly relay?: { on(event: 'message', listener: (message: unknown) => void): unknown } | undefined
}

/** Lines about attempts in a second; the trace has them all. */
const MAX_LINES = 20

/** Notes attempts on this node, writes them down and names them in the log. */
export class AttemptTrace {
  readonly recorder: AttemptRecorder
  readonly #writer: TraceWriter

  constructor(private readonly options: AttemptTraceOptions) {
    const { store, random, log, relay } = options
    this.recorder = new AttemptRecorder({ clock: Date.now, random, isIgnored: options.isIgnored })
    this.#writer = new TraceWriter({ store, log, take: () => this.#take() })
    relay?.on('message', (message) => this.#writer.add(partsOfRelay(message)))
  }

  /** What was noted last is written. May be called twice. */
  close(): Promise<void> {
    return this.#writer.close()
  }

  expose(metrics: Metrics): void {
    const { recorder } = this
    metrics.totals({
      name: 'tryst_attempts_total',
      help: 'Attempts to reach a device: those that tryst trace finds, and those that were too many in a second',
      label: 'trace',
      read: () => recorder.counts,
    })
    metrics.totals({
      name: 'tryst_trace_parts_total',
      help: 'What this node and its relay noted of attempts within a second each: written down, or lost',
      label: 'outcome',
      read: () => this.#writer.counts,
    })
  }

  #take(): readonly TracePart[] {
    const { node, nameOf } = this.options
    const parts = this.recorder.take().map((attempt) => takePart(attempt, { node, nameOf }))
    this.#tell(parts)
    return parts
  }

  #tell(parts: readonly TracePart[]): void {
    const { log } = this.options
    let lines = 0
    for (const { code, id, asked, steps } of parts) {
      const refusal = noteworthyStep(steps)
      if (!asked || (!refusal && !steps.some(({ step }) => step === 'asked'))) continue
      if (++lines > MAX_LINES) continue
      const { from, kind } = asked
      if (refusal) log.info({ attempt: code, id, from, kind, why: refusal.what }, 'attempt came to nothing')
      else log.info({ attempt: code, id, from, kind }, 'attempt')
    }
    if (lines > MAX_LINES) log.info({ attempts: lines - MAX_LINES }, 'more attempts')
  }
}
