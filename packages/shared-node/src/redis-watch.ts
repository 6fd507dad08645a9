import type { Logger } from '@tryst/service'
import { type RedisConnection, type RedisProblem, recheckRedis } from '@tryst/state-redis'

const RECHECK_MS = 60_000

/**
 * Looks again and again whether Redis is still fit: its settings can be changed while it runs, and another server can take
 * its place. What is wrong is said once, with the remedy, and so is when it has been put right. The node goes on: if it
 * gave up for this, all nodes would at once.
 */
export class RedisWatch {
  readonly #connection: RedisConnection
  readonly #log: Logger
  #standing: ReadonlyMap<string, RedisProblem>
  #looking: Promise<void> | undefined
  readonly #timer: NodeJS.Timeout
  readonly #stopListening: () => void

  /** @param known what the operator has been told of at start */
  constructor(options: {
    readonly connection: RedisConnection
    readonly log: Logger
    readonly known: readonly RedisProblem[]
    readonly everyMs?: number
  }) {
    this.#connection = options.connection
    this.#log = options.log
    this.#standing = byText(options.known)
    this.#timer = setInterval(() => void this.look(), options.everyMs ?? RECHECK_MS)
    this.#timer.unref()
    this.#stopListening = this.#connection.onChange((event) => {
      if (event.kind === 'up') void this.look()
    })
  }

  /** 1 for each thing that is wrong now, by how bad it is. */
  get problems(): { readonly error: number; readonly warning: number } {
    const count = { error: 0, warning: 0 }
    for (const { severity } of this.#standing.values()) count[severity]++
    return count
  }

  /** Looks now; what is under way counts. */
  look(): Promise<void> {
    this.#looking ??= recheckRedis(this.#connection)
      .then((problems) => this.#note(byText(problems)))
      // It is away: looked at again when it is back.
      .catch(() => {})
      .finally(() => {
        this.#looking = undefined
      })
    return this.#looking
  }

  /** May be called twice. */
  close(): void {
    clearInterval(this.#timer)
    this.#stopListening()
  }

  #note(found: ReadonlyMap<string, RedisProblem>): void {
    for (const [text, { severity }] of found) {
      if (this.#standing.has(text)) continue
      if (severity === 'error') this.#log.error(text)
      else this.#log.warn(text)
    }
    for (const text of this.#standing.keys()) if (!found.has(text)) this.#log.info(`put right: ${text}`)
    this.#standing = found
  }
}

const byText = (problems: readonly RedisProblem[]): ReadonlyMap<string, RedisProblem> =>
  new Map(problems.map((problem) => [problem.text, problem]))
