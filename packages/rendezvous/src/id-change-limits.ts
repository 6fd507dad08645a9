import { sourcePrefix } from '@tryst/protocol'
import { boundedTable } from './bounded-table.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const MAX_REMEMBERED = 50_000

/** Wrong proofs of one source: users mistype nothing here, so whoever has more of them guesses. */
export const WRONG_PROOFS_PER_MINUTE = 10
/** Changes of one device: each holds the id that it gives up. */
export const ID_CHANGES_PER_HOUR = 5
/** What an address that hides who is behind it may do, times what others may. */
const FLEET_FACTOR = 100

interface Window {
  readonly startMs: number
  count: number
}

/** How often ids may be changed, and how often somebody may be wrong about a uuid. */
export class IdChangeLimits {
  readonly #wrong = boundedTable<Window>(MAX_REMEMBERED)
  readonly #changes = boundedTable<Window>(MAX_REMEMBERED)

  /** @param isHidden whether somebody at this address may be anybody */
  constructor(private readonly isHidden: (ip: string) => boolean) {}

  /** Whether this source may try to prove something. */
  admitProof(ip: string, nowMs: number): boolean {
    const limit = WRONG_PROOFS_PER_MINUTE * (this.isHidden(ip) ? FLEET_FACTOR : 1)
    return countIn(this.#wrong.get(sourcePrefix(ip)), MINUTE_MS, nowMs) < limit
  }

  wrongProof(ip: string, nowMs: number): void {
    raise(this.#wrong, sourcePrefix(ip), MINUTE_MS, nowMs)
  }

  /** Whether the device with this uuid may change its id once more. */
  admitChange(uuid: Uint8Array, nowMs: number): boolean {
    return countIn(this.#changes.get(keyOf(uuid)), HOUR_MS, nowMs) < ID_CHANGES_PER_HOUR
  }

  changed(uuid: Uint8Array, nowMs: number): void {
    raise(this.#changes, keyOf(uuid), HOUR_MS, nowMs)
  }
}

const keyOf = (uuid: Uint8Array) => String.fromCharCode(...uuid.subarray(0, 64))

function countIn(window: Window | undefined, lengthMs: number, nowMs: number): number {
  return window && nowMs - window.startMs < lengthMs ? window.count : 0
}

function raise(table: ReturnType<typeof boundedTable<Window>>, key: string, lengthMs: number, nowMs: number): void {
  const window = table.get(key)
  if (window && nowMs - window.startMs < lengthMs) window.count++
  else table.set(key, { startMs: nowMs, count: 1 })
}
