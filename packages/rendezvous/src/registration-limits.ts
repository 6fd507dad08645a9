import { sourcePrefix } from '@tryst/protocol'
import { type BoundedTable, boundedTable } from './bounded-table.ts'
import type { RegistrationLimits } from './settings.ts'

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
/** Sources that each table remembers at once; some 10 MB for each when all are in use. */
const MAX_SOURCES = 50_000

interface Burst {
  accepted: number
  lastAcceptedMs: number
}

/** New ids from one source: how fast, and which within a day. */
interface SourceRecord {
  readonly burst: Burst
  readonly ids: Set<string>
  lastIdMs: number
}

interface Window {
  startMs: number
  count: number
}

/** One line of the console's `ip-blocker`. */
export interface SourceReport {
  readonly source: string
  readonly count: number
  readonly countAgeMs: number
  readonly ids: number
  readonly idsAgeMs: number
}

/**
 * How often somebody may register. Only what would be stored anew counts against the narrow limits: a device that is
 * known and comes back with its own uuid and key passes all of them but the wide one for look-ups.
 */
export class RegistrationLimiter {
  readonly #sources: BoundedTable<SourceRecord> = boundedTable(MAX_SOURCES)
  readonly #keyChanges: BoundedTable<Burst> = boundedTable(MAX_SOURCES)
  readonly #lookups: BoundedTable<Window> = boundedTable(MAX_SOURCES)
  readonly #mismatches: BoundedTable<{ untilMs: number }> = boundedTable(MAX_SOURCES)
  readonly #limits: RegistrationLimits

  constructor(limits: RegistrationLimits) {
    this.#limits = limits
  }

  /** Whether one more registration from this address may be looked up. */
  admitLookup(ip: string, nowMs: number): boolean {
    const source = sourcePrefix(ip)
    const window = this.#lookups.get(source)
    if (!window || nowMs - window.startMs >= MINUTE_MS) {
      this.#lookups.set(source, { startMs: nowMs, count: 1 })
      return true
    }
    return ++window.count <= this.#limits.lookupsPerMinute
  }

  /**
   * Whether an id that nobody has may be registered from this address. The first of a source passes uncounted, a pause
   * of more than the window since the last accepted one starts anew; refused ones do not prolong it. Else the limit
   * that stands against it.
   */
  admitNewId(ip: string, id: string, nowMs: number): 'admitted' | 'new-ids-per-minute' | 'new-ids-per-day' {
    const source = sourcePrefix(ip)
    const record = this.#sources.get(source)
    if (!record) {
      this.#sources.set(source, { burst: { accepted: 0, lastAcceptedMs: nowMs }, ids: new Set(), lastIdMs: nowMs })
      return 'admitted'
    }
    const { burst, ids } = record
    if (nowMs - burst.lastAcceptedMs > this.#limits.newIdWindowMs) burst.accepted = 0
    if (burst.accepted >= this.#limits.newIdsPerWindow) return 'new-ids-per-minute'
    if (nowMs - record.lastIdMs > DAY_MS) ids.clear()
    if (ids.size > this.#limits.newIdsPerDay && !ids.has(id)) return 'new-ids-per-day'
    burst.accepted++
    burst.lastAcceptedMs = nowMs
    ids.add(id)
    record.lastIdMs = nowMs
    return 'admitted'
  }

  /** Whether this device's key may change now. */
  admitKeyChange(id: string, nowMs: number): boolean {
    const burst = this.#keyChanges.get(id)
    if (!burst || nowMs - burst.lastAcceptedMs >= this.#limits.keyChangePauseMs) {
      this.#keyChanges.set(id, { accepted: 1, lastAcceptedMs: nowMs })
      return true
    }
    if (burst.accepted >= this.#limits.keyChangesInARow) return false
    burst.accepted++
    burst.lastAcceptedMs = nowMs
    return true
  }

  /**
   * Whether a source may be told UUID_MISMATCH. A stock client answers it with another RegisterPk at once, thousands of
   * times a second, so it is said once and then not for a while.
   */
  admitMismatch(ip: string, port: number, nowMs: number): boolean {
    const source = `${ip}|${port}`
    const silence = this.#mismatches.get(source)
    if (silence && nowMs < silence.untilMs) return false
    this.#mismatches.set(source, { untilMs: nowMs + this.#limits.mismatchSilenceMs })
    return true
  }

  /** What the console shows; records of which both parts have lapsed are dropped. */
  report(nowMs: number): SourceReport[] {
    const reports: SourceReport[] = []
    for (const [source, { burst, ids, lastIdMs }] of [...this.#sources.entries()]) {
      const countAgeMs = nowMs - burst.lastAcceptedMs
      const idsAgeMs = nowMs - lastIdMs
      if (countAgeMs > MINUTE_MS && idsAgeMs > DAY_MS) this.#sources.delete(source)
      else reports.push({ source, count: burst.accepted, countAgeMs, ids: ids.size, idsAgeMs })
    }
    return reports
  }

  /** Lifts the limits of a source. */
  forgive(ip: string): void {
    const source = sourcePrefix(ip)
    this.#sources.delete(source)
    this.#lookups.delete(source)
  }
}
