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

/**
 * What somebody at an address that hides who is behind it may do, times what one source may: a fleet passes, and yet
 * nobody fills the store without end.
 */
const FLEET_FACTOR = 100

/** As much of a uuid as tells devices apart. */
const DEVICE_KEY_BYTES = 64

/** Who registers. */
export interface Registrant {
  readonly ip: string
  readonly port: number
  readonly uuid: Uint8Array
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

export type NewIdAdmission = 'admitted' | 'new-ids-per-minute' | 'new-ids-per-day'

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
 *
 * Somebody is an address; behind one that hides who is there it is a device, by its uuid.
 */
export class RegistrationLimiter {
  readonly #sources: BoundedTable<SourceRecord> = boundedTable(MAX_SOURCES)
  readonly #keyChanges: BoundedTable<Burst> = boundedTable(MAX_SOURCES)
  readonly #lookups: BoundedTable<Window> = boundedTable(MAX_SOURCES)
  readonly #mismatches: BoundedTable<{ untilMs: number }> = boundedTable(MAX_SOURCES)
  readonly #limits: RegistrationLimits

  readonly #isHidden: (ip: string) => boolean

  /** @param isHidden whether somebody at this address may be anybody */
  constructor(limits: RegistrationLimits, isHidden: (ip: string) => boolean = () => false) {
    this.#limits = limits
    this.#isHidden = isHidden
  }

  /** Whether one more registration may be looked up. */
  admitLookup(from: Registrant, nowMs: number): boolean {
    const source = sourcePrefix(from.ip)
    if (!this.#isHidden(from.ip)) return this.#admitLookup(source, 1, nowMs)
    return this.#admitLookup(deviceKey(source, from.uuid), 1, nowMs) && this.#admitLookup(source, FLEET_FACTOR, nowMs)
  }

  #admitLookup(source: string, factor: number, nowMs: number): boolean {
    const window = this.#lookups.get(source)
    if (!window || nowMs - window.startMs >= MINUTE_MS) {
      this.#lookups.set(source, { startMs: nowMs, count: 1 })
      return true
    }
    return ++window.count <= this.#limits.lookupsPerMinute * factor
  }

  /**
   * Whether an id that nobody has may be registered. The first of a source passes uncounted, a pause
   * of more than the window since the last accepted one starts anew; refused ones do not prolong it. Else the limit
   * that stands against it.
   */
  admitNewId(from: Registrant, id: string, nowMs: number): NewIdAdmission {
    const source = sourcePrefix(from.ip)
    if (!this.#isHidden(from.ip)) return this.#admitNewId(source, id, 1, nowMs)
    const admission = this.#admitNewId(deviceKey(source, from.uuid), id, 1, nowMs)
    return admission === 'admitted' ? this.#admitNewId(source, id, FLEET_FACTOR, nowMs) : admission
  }

  #admitNewId(source: string, id: string, factor: number, nowMs: number): NewIdAdmission {
    const record = this.#sources.get(source)
    if (!record) {
      this.#sources.set(source, { burst: { accepted: 0, lastAcceptedMs: nowMs }, ids: new Set(), lastIdMs: nowMs })
      return 'admitted'
    }
    const { burst, ids } = record
    if (nowMs - burst.lastAcceptedMs > this.#limits.newIdWindowMs) burst.accepted = 0
    if (burst.accepted >= this.#limits.newIdsPerWindow * factor) return 'new-ids-per-minute'
    if (nowMs - record.lastIdMs > DAY_MS) ids.clear()
    if (ids.size > this.#limits.newIdsPerDay * factor && !ids.has(id)) return 'new-ids-per-day'
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
  admitMismatch({ ip, port, uuid }: Registrant, nowMs: number): boolean {
    const socket = `${ip}|${port}`
    // A uuid outlives the ids that a device draws, one after the other. Behind a proxy ports are not known.
    const source = port === 0 || this.#isHidden(ip) ? deviceKey(socket, uuid) : socket
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

/** Readable, since the console shows it. */
function deviceKey(source: string, uuid: Uint8Array): string {
  const digits = Array.from(uuid.subarray(0, DEVICE_KEY_BYTES), (byte) => byte.toString(16).padStart(2, '0'))
  return `${source}|${digits.join('')}`
}
