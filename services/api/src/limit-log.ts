import type { Logger } from '@tryst/service'
import type { ConnectionLimit } from '@tryst/transport'

const LOG_EVERY_MS = 60_000

const REMEDIES: Readonly<Record<ConnectionLimit, string>> = {
  connections_per_source: 'name proxies in TRUSTED_PROXIES, or raise CONNECTIONS_PER_SOURCE',
  connections_total: 'raise API_CONNECTIONS_TOTAL, and the limit of open files',
}

/** Tells of limits that were hit, each once a minute: whoever hits them must not fill the disk, too. */
export class LimitLog {
  readonly #seen = new Map<ConnectionLimit, { readonly sinceMs: number; hits: number }>()

  constructor(
    private readonly log: Logger,
    private readonly now: () => number = () => performance.now(),
  ) {}

  hit(limit: ConnectionLimit, source: string): void {
    const nowMs = this.now()
    const seen = this.#seen.get(limit)
    if (seen && nowMs - seen.sinceMs < LOG_EVERY_MS) {
      seen.hits++
      return
    }
    this.#seen.set(limit, { sinceMs: nowMs, hits: 0 })
    this.log.warn({ limit, source, before: seen?.hits ?? 0, remedy: REMEDIES[limit] }, 'limit hit')
  }
}
