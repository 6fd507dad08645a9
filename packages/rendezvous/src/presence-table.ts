import { NOT_IPV4, packIpv4, unpackIpv4 } from './packed-ipv4.ts'
import type { PeerId } from './peer-identity.ts'

/** A device is online while its last accepted registration is younger than this (docs/protocol.md, limits). */
export const ONLINE_WINDOW_MS = 30_000

/** A device that slept or lost its network for a while is taken back on its heartbeat alone, when its IP is the same. */
export const DEFAULT_KEEP_SILENT_MS = 10 * 60_000

/** About 200 MB. */
export const DEFAULT_MAX_PEERS = 1_000_000

/** The largest number of keys that a JavaScript Map holds. */
const LARGEST_TABLE = 2 ** 24
const SMALLEST_CAPACITY = 1024

export interface PresenceTableOptions {
  /** How many devices the table holds, silent ones included; what comes on top is refused. */
  readonly maxPeers?: number
  /** How long a device is remembered after it fell silent. */
  readonly keepSilentMs?: number
}

/** Where a device was last heard of. */
export interface Presence {
  /** Plain form, never `::ffff:`. */
  readonly ip: string
  readonly port: number
  readonly lastSeenMs: number
  readonly online: boolean
}

/**
 * What a heartbeat changed. `unknown`, `moved` (it comes from another IP): nothing was stored, the device has to
 * register. `refreshed`: stored, an ordinary heartbeat. `returned`: stored, and the device had been reported silent
 * before, so it has to be claimed anew.
 */
export type TouchOutcome = 'unknown' | 'moved' | 'refreshed' | 'returned'

/**
 * What a registration changed; stored unless `full`. All but `refreshed` and `full` have to be claimed: `added` is
 * new here, `moved` has another IP than before, `returned` had been reported silent.
 */
export type RegisterOutcome = 'full' | 'added' | 'moved' | 'returned' | 'refreshed'

type RowState = 0 | 1 | 2
const FREE: RowState = 0
/** Not yet reported silent; whether it is online is a question of its time. */
const PRESENT: RowState = 1
const SILENT: RowState = 2

const NO_ROW = -1

/**
 * The devices that this node hears from, in its memory only. One row per device, in columns of numbers: a Map of
 * objects needs more than three times the memory. A heartbeat allocates nothing.
 */
export class PresenceTable {
  readonly #maxPeers: number
  readonly #keepSilentMs: number
  readonly #rows = new Map<PeerId, number>()
  /** IPs that are not IPv4, by row. */
  readonly #otherIps = new Map<number, string>()
  #ids: (PeerId | undefined)[] = []
  /** In a free row: the next free row. */
  #ips = new Int32Array(SMALLEST_CAPACITY)
  #ports = new Uint16Array(SMALLEST_CAPACITY)
  #lastSeenMs = new Float64Array(SMALLEST_CAPACITY)
  #states = new Uint8Array(SMALLEST_CAPACITY)
  #firstFree = NO_ROW
  /** Rows from here on have never been used. */
  #end = 0
  #cursor = 0
  #silent = 0

  constructor({ maxPeers = DEFAULT_MAX_PEERS, keepSilentMs = DEFAULT_KEEP_SILENT_MS }: PresenceTableOptions = {}) {
    this.#maxPeers = Math.min(maxPeers, LARGEST_TABLE)
    this.#keepSilentMs = keepSilentMs
  }

  /** Devices in the table, silent ones included. */
  get size(): number {
    return this.#rows.size
  }

  /** Devices that were reported silent and may still come back. */
  get silent(): number {
    return this.#silent
  }

  /** A heartbeat. `ip` in plain form. */
  touch(id: PeerId, ip: string, port: number, nowMs: number): TouchOutcome {
    const row = this.#rows.get(id)
    if (row === undefined) return 'unknown'
    const packed = packIpv4(ip)
    if (packed !== this.#ips[row] || (packed === NOT_IPV4 && this.#otherIps.get(row) !== ip)) return 'moved'
    this.#ports[row] = port
    this.#lastSeenMs[row] = nowMs
    if (this.#states[row] === PRESENT) return 'refreshed'
    this.#states[row] = PRESENT
    this.#silent--
    return 'returned'
  }

  /** An accepted registration. `ip` in plain form. */
  register(id: PeerId, ip: string, port: number, nowMs: number): RegisterOutcome {
    const touched = this.touch(id, ip, port, nowMs)
    if (touched === 'refreshed' || touched === 'returned') return touched
    if (touched === 'moved') {
      this.remove(id)
      this.#add(id, ip, port, nowMs)
      return 'moved'
    }
    if (this.#rows.size >= this.#maxPeers) return 'full'
    this.#add(id, ip, port, nowMs)
    return 'added'
  }

  find(id: PeerId, nowMs: number): Presence | undefined {
    const row = this.#rows.get(id)
    if (row === undefined) return undefined
    const packed = this.#ips[row] ?? NOT_IPV4
    return {
      ip: packed === NOT_IPV4 ? (this.#otherIps.get(row) ?? '') : unpackIpv4(packed),
      port: this.#ports[row] ?? 0,
      lastSeenMs: this.#lastSeenMs[row] ?? 0,
      online: this.#isOnlineRow(row, nowMs),
    }
  }

  isOnline(id: PeerId, nowMs: number): boolean {
    const row = this.#rows.get(id)
    return row !== undefined && this.#isOnlineRow(row, nowMs)
  }

  /** False when the device was not here. */
  remove(id: PeerId): boolean {
    const row = this.#rows.get(id)
    if (row === undefined) return false
    this.#rows.delete(id)
    if (this.#ips[row] === NOT_IPV4) this.#otherIps.delete(row)
    if (this.#states[row] === SILENT) this.#silent--
    this.#ids[row] = undefined
    this.#states[row] = FREE
    this.#ips[row] = this.#firstFree
    this.#firstFree = row
    return true
  }

  /**
   * Looks at the next `maxRows` rows, beginning where the last call ended. Calls `onSilent` once for each device that
   * has not been heard of for ONLINE_WINDOW_MS, and forgets those that have been silent for too long. A table that is
   * three quarters full forgets the silent ones at once, to have room for those that are there.
   */
  sweep(nowMs: number, maxRows: number, onSilent: (id: PeerId) => void): void {
    const keepSilentMs = this.#rows.size > this.#maxPeers * 0.75 ? 0 : this.#keepSilentMs
    for (let left = Math.min(maxRows, this.#end); left > 0; left--) {
      if (this.#cursor >= this.#end) this.#cursor = 0
      const row = this.#cursor++
      const id = this.#ids[row]
      if (id === undefined || this.#isOnlineRow(row, nowMs)) continue
      const becameSilent = this.#states[row] === PRESENT
      if (becameSilent) {
        this.#states[row] = SILENT
        this.#silent++
      }
      if (nowMs - (this.#lastSeenMs[row] ?? 0) >= ONLINE_WINDOW_MS + keepSilentMs) this.remove(id)
      if (becameSilent) onSilent(id)
    }
    if (this.#ips.length > SMALLEST_CAPACITY && this.#rows.size < this.#ips.length / 8) this.#compact()
  }

  #isOnlineRow(row: number, nowMs: number): boolean {
    return nowMs - (this.#lastSeenMs[row] ?? 0) < ONLINE_WINDOW_MS
  }

  #add(id: PeerId, ip: string, port: number, nowMs: number): void {
    const row = this.#takeRow()
    const packed = packIpv4(ip)
    if (packed === NOT_IPV4) this.#otherIps.set(row, ip)
    this.#rows.set(id, row)
    this.#ids[row] = id
    this.#ips[row] = packed
    this.#ports[row] = port
    this.#lastSeenMs[row] = nowMs
    this.#states[row] = PRESENT
  }

  #takeRow(): number {
    const row = this.#firstFree
    if (row !== NO_ROW) {
      this.#firstFree = this.#ips[row] ?? NO_ROW
      return row
    }
    if (this.#end === this.#ips.length) this.#resizeColumns(this.#end * 2)
    return this.#end++
  }

  #resizeColumns(capacity: number): void {
    const kept = Math.min(capacity, this.#end)
    const ips = new Int32Array(capacity)
    const ports = new Uint16Array(capacity)
    const lastSeenMs = new Float64Array(capacity)
    const states = new Uint8Array(capacity)
    ips.set(this.#ips.subarray(0, kept))
    ports.set(this.#ports.subarray(0, kept))
    lastSeenMs.set(this.#lastSeenMs.subarray(0, kept))
    states.set(this.#states.subarray(0, kept))
    this.#ips = ips
    this.#ports = ports
    this.#lastSeenMs = lastSeenMs
    this.#states = states
  }

  /** Moves the rows together and gives the memory behind them back, so that a flood of devices leaves no trace. */
  #compact(): void {
    const otherIps = [...this.#otherIps]
    this.#otherIps.clear()
    const ips = new Map(otherIps)
    let end = 0
    // Rows only move down, and in their order, so none is overwritten before it has moved.
    for (let row = 0; row < this.#end; row++) {
      const id = this.#ids[row]
      if (id === undefined) continue
      const ip = ips.get(row)
      if (ip !== undefined) this.#otherIps.set(end, ip)
      this.#rows.set(id, end)
      this.#ids[end] = id
      this.#ips[end] = this.#ips[row] ?? NOT_IPV4
      this.#ports[end] = this.#ports[row] ?? 0
      this.#lastSeenMs[end] = this.#lastSeenMs[row] ?? 0
      this.#states[end] = this.#states[row] ?? FREE
      end++
    }
    this.#ids = this.#ids.slice(0, end)
    this.#end = end
    this.#firstFree = NO_ROW
    this.#cursor = 0
    this.#resizeColumns(Math.max(SMALLEST_CAPACITY, 2 ** Math.ceil(Math.log2(Math.max(end, 1) * 2))))
  }
}
