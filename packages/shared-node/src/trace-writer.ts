import { StoreUnavailableError, type TracePart, type TraceStore } from '@tryst/rendezvous'
import type { Logger } from '@tryst/service'

/** How often what was noted is written down. */
const EVERY_MS = 1_000
/** Parts that wait for the next turn; those of other processes come in between. */
const MAX_WAITING = 2_000

export interface TraceWriterOptions {
  readonly store: TraceStore
  /** What has been noted since the last time. */
  readonly take: () => readonly TracePart[]
  readonly log: Logger
}

/** Writes down what was noted of attempts, once a second: whoever notes something waits for nothing. */
export class TraceWriter {
  /** Parts that were written, and those that nobody will find. */
  readonly counts = { written: 0, lost: 0 }
  #waiting: TracePart[] = []
  #writing: Promise<void> | undefined
  #isFailing = false
  readonly #timer: NodeJS.Timeout

  constructor(private readonly options: TraceWriterOptions) {
    this.#timer = setInterval(() => void this.flush(), EVERY_MS)
    this.#timer.unref()
  }

  /** Parts that another process has noted. */
  add(parts: readonly TracePart[]): void {
    const room = Math.max(0, MAX_WAITING - this.#waiting.length)
    this.#waiting.push(...parts.slice(0, room))
    this.counts.lost += Math.max(0, parts.length - room)
  }

  /** What is under way comes first: then nothing is taken, and the next turn has more. */
  flush(): Promise<void> {
    this.#writing ??= this.#flush().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  /** With what was noted last. May be called twice. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#writing
    await this.flush()
    await this.options.store.close()
  }

  async #flush(): Promise<void> {
    const { store, take, log } = this.options
    this.add(take())
    const parts = this.#waiting
    if (parts.length === 0) return
    this.#waiting = []
    try {
      await store.write(parts)
      this.counts.written += parts.length
      this.#isFailing = false
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) throw error
      this.counts.lost += parts.length
      if (!this.#isFailing) log.warn({ err: error }, 'what was noted of attempts cannot be written down')
      this.#isFailing = true
    }
  }
}
