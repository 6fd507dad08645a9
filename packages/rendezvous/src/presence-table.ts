import type { Clock } from './connection.ts'
import { IdRows, NO_ROW } from './id-rows.ts'
import { NOT_IPV4, packIpv4, unpackIpv4 } from './packed-ipv4.ts'
import type { PeerId } from './peer-identity.ts'
import { SourceChains } from './source-chains.ts'

/** A device is online while its last accepted registration is younger than this (docs/protocol.md, limits). */
export const ONLINE_WINDOW_MS = 30_000

/** A device that slept or lost its network for a while is taken back on its heartbeat alone, when its IP is the same. */
export const DEFAULT_KEEP_SILENT_MS = 10 * 60_000

/** About 100 MB. */
export const DEFAULT_MAX_PEERS = 1_000_000

const SMALLEST_CAPACITY = 1024
/** Addresses that a survey tells apart; where there are more, nobody asks which. */
const SURVEYED_IPS = 16
/** Rows that a search for an address looks at closely. */
const MAX_LOOKS = 1_000

export interface PresenceTableOptions {
  /** `indexed`: whether a device is online in a network is found without a look at every row. Default `plain`. */
  readonly sources?: 'indexed' | 'plain'
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
  /** Without end where it is held by a connection. */
  readonly lastSeenMs: number
  readonly online: boolean
}

/**
 * What a heartbeat changed. `unknown`, `moved` (it comes from another IP or port), `held` (the device is reached over a
 * connection): nothing was stored, the device has to register. `refreshed`: stored, an ordinary heartbeat. `returned`:
 * stored, and the device had been reported silent before, so it has to be claimed anew.
 */
export type TouchOutcome = 'unknown' | 'moved' | 'held' | 'refreshed' | 'returned'

/**
 * What a registration changed; stored unless `full`. All but `refreshed` and `full` have to be claimed: `added` is
 * new here, `moved` has another IP than before, `returned` had been reported silent.
 */
export type RegisterOutcome = 'full' | 'added' | 'moved' | 'returned' | 'refreshed'

/** Not yet reported silent; whether it is online is a question of its time. */
const PRESENT = 0
const SILENT = 1
/** Online until it is removed: its time never comes. */
const HELD = 2
/** No proof has this value. */
const UNPROVEN = 0

/**
 * The devices that this node hears from, in its memory only. One row per device, in columns of numbers: a Map of
 * objects needs many times the memory. A heartbeat allocates nothing.
 */
export class PresenceTable {
  readonly #maxPeers: number
  readonly #keepSilentMs: number
  #rows = new IdRows()
  #columns = new Columns(SMALLEST_CAPACITY)
  /** IPs that are not IPv4, by row. */
  readonly #otherIps = new Map<number, string>()
  readonly #sources: 'indexed' | 'plain'
  #chains: SourceChains | undefined
  #cursor = 0
  #surveyOffset = 0
  #silent = 0

  constructor({
    maxPeers = DEFAULT_MAX_PEERS,
    keepSilentMs = DEFAULT_KEEP_SILENT_MS,
    sources = 'plain',
  }: PresenceTableOptions = {}) {
    this.#sources = sources
    this.#chains = sources === 'indexed' ? new SourceChains() : undefined
    this.#maxPeers = maxPeers
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
    const row = this.#rows.find(id)
    if (row === NO_ROW) return 'unknown'
    const { ips, ports, lastSeenMs, states } = this.#columns
    const packed = packIpv4(ip)
    if (packed !== ips[row] || (packed === NOT_IPV4 && this.#otherIps.get(row) !== ip)) {
      return states[row] === HELD ? 'held' : 'moved'
    }
    const state = states[row]
    if (state === HELD) return 'held'
    if (ports[row] !== port) return 'moved'
    lastSeenMs[row] = nowMs
    if (state === PRESENT) return 'refreshed'
    states[row] = PRESENT
    this.#silent--
    return 'returned'
  }

  /** An accepted registration. `ip` in plain form. */
  register(id: PeerId, ip: string, port: number, nowMs: number): RegisterOutcome {
    const row = this.#rows.find(id)
    if (row !== NO_ROW && this.#columns.states[row] !== HELD && this.#ipOfRow(row) === ip)
      this.#columns.ports[row] = port
    const touched = this.touch(id, ip, port, nowMs)
    if (touched === 'refreshed' || touched === 'returned') return touched
    if (touched === 'unknown' && this.#rows.size >= this.#maxPeers) return 'full'
    this.remove(id)
    this.#add(id, ip, port, nowMs)
    return touched === 'unknown' ? 'added' : 'moved'
  }

  /** The device is online from now on until it is removed or registers in another way. `ip` in plain form. */
  hold(id: PeerId, ip: string): 'full' | 'held' {
    if (!this.hasRoomFor(id)) return 'full'
    this.remove(id)
    this.#add(id, ip, 0, Number.POSITIVE_INFINITY)
    this.#columns.states[this.#rows.find(id)] = HELD
    return 'held'
  }

  /** What the device has proved itself by, as a number; 0: nothing is known. */
  prove(id: PeerId, proof: number): void {
    const row = this.#rows.find(id)
    if (row !== NO_ROW) this.#columns.proofs[row] = proof
  }

  /** Whether this is the device that is online here over UDP, at the same IP: nobody else has to be asked. */
  isProven(id: PeerId, ip: string, proof: number, nowMs: number): boolean {
    const row = this.#rows.find(id)
    if (row === NO_ROW || this.#columns.proofs[row] !== proof || this.#columns.states[row] !== PRESENT) return false
    return this.#isOnlineRow(row, nowMs) && this.#ipOfRow(row) === ip
  }

  find(id: PeerId, nowMs: number): Presence | undefined {
    const row = this.#rows.find(id)
    if (row === NO_ROW) return undefined
    return {
      ip: this.#ipOfRow(row),
      port: this.#columns.ports[row] ?? 0,
      lastSeenMs: this.#columns.lastSeenMs[row] ?? 0,
      online: this.#isOnlineRow(row, nowMs),
    }
  }

  isOnline(id: PeerId, nowMs: number): boolean {
    const row = this.#rows.find(id)
    return row !== NO_ROW && this.#isOnlineRow(row, nowMs)
  }

  /**
   * Whether some device is online at this address; not for every datagram, since it searches. Looks closely at a few
   * rows only: where many devices have gone from an address, or have IPv6, it may find none.
   */
  hasDeviceAt(ip: string, nowMs: number): boolean {
    const packed = packIpv4(ip)
    const { ips } = this.#columns
    let row = ips.indexOf(packed)
    for (let looks = 0; row >= 0 && row < this.#rows.end && looks < MAX_LOOKS; looks++) {
      const isHere = packed !== NOT_IPV4 || this.#otherIps.get(row) === ip
      if (isHere && this.#rows.isUsed(row) && this.#isOnlineRow(row, nowMs)) return true
      row = ips.indexOf(packed, row + 1)
    }
    return false
  }

  /** Whether some device is online at this address, for IPv6 in its /64. */
  hasDeviceInNetwork(ip: string, nowMs: number): boolean {
    return this.#chains?.some(ip, (row) => this.#isOnlineRow(row, nowMs)) ?? this.hasDeviceAt(ip, nowMs)
  }

  /**
   * The devices that are online, row by row. The table may change while it is read: a device that stays is not left
   * out, one may come twice.
   */
  *online(clock: Clock): Generator<{ readonly id: PeerId; readonly ip: string }> {
    let rows = this.#rows
    for (let row = 0; row < this.#rows.end; row++) {
      const id = this.#isOnlineRow(row, clock()) ? rows.idAt(row) : undefined
      if (id === undefined) continue
      yield { id, ip: this.#ipOfRow(row) }
      if (rows === this.#rows) continue
      // The rows were moved together meanwhile: from the beginning.
      rows = this.#rows
      row = -1
    }
  }

  /** Whether a registration of this device would be kept. */
  hasRoomFor(id: PeerId): boolean {
    return this.#rows.size < this.#maxPeers || this.#rows.find(id) !== NO_ROW
  }

  /** False when the device was not here. */
  remove(id: PeerId): boolean {
    const row = this.#rows.remove(id)
    if (row === NO_ROW) return false
    this.#chains?.remove(row, this.#ipOfRow(row))
    if (this.#columns.ips[row] === NOT_IPV4) this.#otherIps.delete(row)
    if (this.#columns.states[row] === SILENT) this.#silent--
    return true
  }

  /**
   * Looks at the next `maxRows` rows, beginning where the last call ended. Calls `onSilent` once for each device that
   * has not been heard of for ONLINE_WINDOW_MS, and forgets those that have been silent for too long. A table that is
   * three quarters full forgets the silent ones at once, to have room for those that are there.
   */
  sweep(nowMs: number, maxRows: number, onSilent: (id: PeerId) => void): void {
    const keepSilentMs = this.#rows.size > this.#maxPeers * 0.75 ? 0 : this.#keepSilentMs
    for (let left = Math.min(maxRows, this.#rows.end); left > 0; left--) {
      if (this.#cursor >= this.#rows.end) this.#cursor = 0
      const row = this.#cursor++
      if (!this.#rows.isUsed(row) || this.#isOnlineRow(row, nowMs)) continue
      this.#ageRow(row, nowMs, keepSilentMs, onSilent)
    }
    if (this.#columns.length > SMALLEST_CAPACITY && this.#rows.size < this.#columns.length / 8) this.#compact()
  }

  /**
   * How many devices are online, and how many of those at the first few addresses. Of a large table some `maxRows` rows
   * are looked at, spread over all of it, others each time.
   */
  survey(nowMs: number, maxRows: number): { readonly devices: number; readonly byIp: ReadonlyMap<string, number> } {
    const byPacked = new Map<number, number>()
    const byIp = new Map<string, number>()
    const stride = Math.ceil(this.#rows.end / maxRows)
    this.#surveyOffset = stride > 0 ? (this.#surveyOffset + 1) % stride : 0
    let devices = 0
    for (let row = this.#surveyOffset; row < this.#rows.end; row += stride) {
      if (!this.#rows.isUsed(row) || !this.#isOnlineRow(row, nowMs)) continue
      devices++
      const packed = this.#columns.ips[row] ?? NOT_IPV4
      if (packed === NOT_IPV4) countUp(byIp, this.#ipOfRow(row))
      else countUp(byPacked, packed)
    }
    for (const [packed, count] of byPacked) byIp.set(unpackIpv4(packed), count)
    return { devices, byIp }
  }

  #ageRow(row: number, nowMs: number, keepSilentMs: number, onSilent: (id: PeerId) => void): void {
    const { lastSeenMs, states } = this.#columns
    const isOver = nowMs - (lastSeenMs[row] ?? 0) >= ONLINE_WINDOW_MS + keepSilentMs
    const wasPresent = states[row] === PRESENT
    if (!isOver && !wasPresent) return
    const id = this.#rows.idAt(row)
    if (id === undefined) return
    if (wasPresent) {
      states[row] = SILENT
      this.#silent++
    }
    if (isOver) this.remove(id)
    if (wasPresent) onSilent(id)
  }

  #ipOfRow(row: number): string {
    const packed = this.#columns.ips[row] ?? NOT_IPV4
    return packed === NOT_IPV4 ? (this.#otherIps.get(row) ?? '') : unpackIpv4(packed)
  }

  #isOnlineRow(row: number, nowMs: number): boolean {
    return nowMs - (this.#columns.lastSeenMs[row] ?? 0) < ONLINE_WINDOW_MS
  }

  #add(id: PeerId, ip: string, port: number, nowMs: number): void {
    const row = this.#rows.add(id)
    if (row >= this.#columns.length) this.#columns = this.#columns.doubled()
    const packed = packIpv4(ip)
    if (packed === NOT_IPV4) this.#otherIps.set(row, ip)
    this.#columns.ips[row] = packed
    this.#columns.ports[row] = port
    this.#columns.lastSeenMs[row] = nowMs
    this.#columns.proofs[row] = UNPROVEN
    this.#columns.states[row] = PRESENT
    this.#chains?.add(row, ip)
  }

  /** Moves the rows together and gives the memory behind them back, so that a flood of devices leaves no trace. */
  #compact(): void {
    const before = this.#columns
    const rowsBefore = this.#rows
    const otherIps = new Map(this.#otherIps)
    this.#otherIps.clear()
    this.#rows = new IdRows()
    this.#columns = new Columns(SMALLEST_CAPACITY)
    this.#chains = this.#sources === 'indexed' ? new SourceChains() : undefined
    this.#cursor = 0
    for (let row = 0; row < rowsBefore.end; row++) {
      const id = rowsBefore.idAt(row)
      if (id === undefined) continue
      const ip = otherIps.get(row) ?? unpackIpv4(before.ips[row] ?? NOT_IPV4)
      this.#add(id, ip, before.ports[row] ?? 0, before.lastSeenMs[row] ?? 0)
      const moved = this.#rows.find(id)
      this.#columns.states[moved] = before.states[row] ?? PRESENT
      this.#columns.proofs[moved] = before.proofs[row] ?? UNPROVEN
    }
  }
}

function countUp<Key>(counts: Map<Key, number>, key: Key): void {
  const count = counts.get(key)
  if (count !== undefined) counts.set(key, count + 1)
  else if (counts.size < SURVEYED_IPS) counts.set(key, 1)
}

/** What is known of each device, by row. */
class Columns {
  readonly length: number
  /** Packed; NOT_IPV4 for those that are kept as text. */
  readonly ips: Int32Array
  readonly ports: Uint16Array
  readonly lastSeenMs: Float64Array
  /** What each proved itself by. */
  readonly proofs: Float64Array
  readonly states: Uint8Array

  constructor(length: number) {
    this.length = length
    this.ips = new Int32Array(length)
    this.ports = new Uint16Array(length)
    this.lastSeenMs = new Float64Array(length)
    this.proofs = new Float64Array(length)
    this.states = new Uint8Array(length)
  }

  doubled(): Columns {
    const larger = new Columns(this.length * 2)
    larger.ips.set(this.ips)
    larger.ports.set(this.ports)
    larger.lastSeenMs.set(this.lastSeenMs)
    larger.proofs.set(this.proofs)
    larger.states.set(this.states)
    return larger
  }
}
