import { boundedTable } from './bounded-table.ts'
import type { PeerId } from './peer-identity.ts'

/** A stock device lets 15 to 16 s pass after an answer; the rest is what the network takes. */
const SHORTEST_BEAT_MS = 14_000
const LONGEST_BEAT_MS = 17_500
/** A device that is asked for its key sends it at once. */
const KEY_WITHIN_MS = 5_000
/** A registration is noted here and in the presence table one after the other. */
const SAME_MOMENT_MS = 1_000
/** Beats that each of two addresses has kept before they count as two machines. */
const OVERLAPPING_BEATS = 3
/** An id that has not moved for so long is forgotten. */
const FORGET_AFTER_MS = 40_000
/** Ids that have moved lately, and addresses of each. */
const MAX_WATCHED = 10_000
const MAX_ADDRESSES = 16
/** One pair of machines is told of so often at most. */
const REPORT_EVERY_MS = 600_000

/** Stands for whatever address the device has on other nodes. */
export const ELSEWHERE = 'elsewhere'

/** Two machines go by one identity. */
export interface Clone {
  /** Where the device was when the second one came; ELSEWHERE: on another node. */
  readonly original: string
  /** This registration is not the original's. */
  readonly isNewcomer: boolean
  /** It has not been told lately. */
  readonly isNews: boolean
}

/** Where a device was heard, and when last: where nothing changes, its heartbeats do not come here. */
export interface Heard {
  readonly address: string
  readonly lastSeenMs: number
}

/** What one address has done. */
interface Rhythm {
  readonly address: string
  askedMs: number
  beatMs: number
  /** Beats in a row, each of them completed. */
  beats: number
}

interface Watched {
  readonly original: string
  readonly rhythms: Rhythm[]
  lastMs: number
  reportedMs: number
  isAssumed: boolean
}

/**
 * Tells two machines with one identity, set up from one image, from a device that moves (docs/protocol.md, two machines
 * with one ID). Each of two machines is asked for its key when the other one was heard last, sends it, and lets 15 to
 * 16 s pass: two rhythms side by side. A device alone has one of them, wherever its packets seem to come from.
 *
 * Only ids that move are looked at; ordinary heartbeats do not come here.
 */
export class CloneWatch {
  readonly #watched = boundedTable<Watched>(MAX_WATCHED)

  /** Ids that have moved lately. */
  get size(): number {
    return this.#watched.size
  }

  /** Whether two machines are taken to share this id. */
  isAssumed(id: PeerId): boolean {
    return this.#watched.size > 0 && this.#watched.get(id)?.isAssumed === true
  }

  /** The device was asked for its key at this address. */
  asked(id: PeerId, ip: string, port: number, nowMs: number): void {
    const watched = this.#watched.size > 0 ? this.#watched.get(id) : undefined
    if (watched) rhythmOf(watched, addressOf(ip, port), nowMs).askedMs = nowMs
  }

  /**
   * The device registered with its uuid and key.
   *
   * @param before where it was heard until now on this node, and when last
   * @returns undefined: it is one machine, as far as can be told
   */
  registered(id: PeerId, ip: string, port: number, before: Heard | undefined, nowMs: number): Clone | undefined {
    const address = addressOf(ip, port)
    const hasMoved = before !== undefined && before.address !== address
    const watched = this.#find(id, nowMs) ?? (hasMoved ? this.#watch(id, before.address, nowMs) : undefined)
    if (!watched) return undefined
    watched.lastMs = nowMs
    if (hasMoved) catchUp(watched, before, nowMs)
    const own = rhythmOf(watched, address, nowMs)
    if (nowMs - own.askedMs > KEY_WITHIN_MS) {
      own.beats = 0
      own.beatMs = nowMs
    } else {
      beat(own, nowMs)
    }
    own.askedMs = Number.NEGATIVE_INFINITY
    return this.#judge(watched, own, nowMs)
  }

  /** This node heard the device, and another one has taken it. */
  takenElsewhere(id: PeerId, here: Heard, nowMs: number): void {
    const watched = this.#find(id, nowMs) ?? this.#watch(id, here.address, nowMs)
    watched.lastMs = nowMs
    catchUp(watched, here, nowMs)
    beat(rhythmOf(watched, ELSEWHERE, nowMs), nowMs)
  }

  /** This node has taken the device from another one. */
  tookFromElsewhere(id: PeerId, here: string, nowMs: number): void {
    if (this.#find(id, nowMs)) return
    rhythmOf(this.#watch(id, ELSEWHERE, nowMs), here, nowMs).beatMs = nowMs
  }

  /** Whether this is one of the machines that came later than the first. */
  isNewcomer(id: PeerId, ip: string, port: number, nowMs: number): boolean {
    const watched = this.#watched.size > 0 ? this.#find(id, nowMs) : undefined
    if (!watched?.isAssumed) return false
    const address = addressOf(ip, port)
    if (address === watched.original) return false
    const own = watched.rhythms.find((rhythm) => rhythm.address === address)
    return own !== undefined && keepsTime(own, nowMs)
  }

  /** The newcomer has been told; should it not have heard, it is found out again. */
  told(id: PeerId, ip: string, port: number): void {
    const watched = this.#watched.get(id)
    if (!watched) return
    const index = watched.rhythms.findIndex(({ address }) => address === addressOf(ip, port))
    if (index >= 0) watched.rhythms.splice(index, 1)
    watched.isAssumed = false
  }

  #find(id: PeerId, nowMs: number): Watched | undefined {
    const watched = this.#watched.get(id)
    if (!watched || nowMs - watched.lastMs <= FORGET_AFTER_MS) return watched
    this.#watched.delete(id)
    return undefined
  }

  #watch(id: PeerId, original: string, nowMs: number): Watched {
    const watched = { original, rhythms: [], lastMs: nowMs, reportedMs: Number.NEGATIVE_INFINITY, isAssumed: false }
    this.#watched.set(id, watched)
    return watched
  }

  #judge(watched: Watched, own: Rhythm, nowMs: number): Clone | undefined {
    if (!keepsTime(own, nowMs)) return undefined
    if (!watched.rhythms.some((other) => other !== own && keepsTime(other, nowMs))) return undefined
    watched.isAssumed = true
    const isNewcomer = own.address !== watched.original
    const isNews = isNewcomer && nowMs - watched.reportedMs >= REPORT_EVERY_MS
    if (isNews) watched.reportedMs = nowMs
    return { original: watched.original, isNewcomer, isNews }
  }
}

export const addressOf = (ip: string, port: number): string => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)

/** A heartbeat from where the device was known to be needed no key: it is a beat all the same. */
function catchUp(watched: Watched, { address, lastSeenMs }: Heard, nowMs: number): void {
  const rhythm = rhythmOf(watched, address, nowMs)
  if (lastSeenMs - rhythm.beatMs > SAME_MOMENT_MS) beat(rhythm, lastSeenMs)
}

function keepsTime({ beats, beatMs }: Rhythm, nowMs: number): boolean {
  return beats >= OVERLAPPING_BEATS && nowMs - beatMs <= LONGEST_BEAT_MS
}

/** One more beat; out of time it begins anew. */
function beat(rhythm: Rhythm, nowMs: number): void {
  const sinceMs = nowMs - rhythm.beatMs
  const isInTime = sinceMs >= SHORTEST_BEAT_MS && sinceMs <= LONGEST_BEAT_MS
  rhythm.beats = isInTime ? rhythm.beats + 1 : 1
  rhythm.beatMs = nowMs
}

function rhythmOf({ rhythms }: Watched, address: string, nowMs: number): Rhythm {
  const known = rhythms.find((rhythm) => rhythm.address === address)
  if (known) return known
  const fresh = { address, askedMs: Number.NEGATIVE_INFINITY, beatMs: Number.NEGATIVE_INFINITY, beats: 0 }
  if (rhythms.length < MAX_ADDRESSES) {
    rhythms.push(fresh)
    return fresh
  }
  // Those that keep time stay; a newcomer gets the place of one that has stopped, or none.
  const stopped = rhythms.findIndex((rhythm) => nowMs - Math.max(rhythm.beatMs, rhythm.askedMs) > FORGET_AFTER_MS)
  if (stopped >= 0) rhythms[stopped] = fresh
  return fresh
}
