import { sourcePrefix } from '@tryst/rendezvous'
import { Line, Place } from './line.ts'

export interface ConnectionLimits {
  readonly perSource: number
  readonly total: number
  /** Addresses that have no share of their own: proxies, which speak for many. */
  readonly isExempt?: (ip: string) => boolean
}

export type ConnectionLimit = 'connections_per_source' | 'connections_total'

/** What the guard ends when it pushes a connection out. */
export interface Displaceable {
  destroy(end: 'displaced'): void
}

/** The connections of one source address. */
interface Share<T> {
  readonly source: string
  count: number
  /** Oldest first. */
  readonly unproven: Line<T>
}

/** Where the guard keeps its note of a connection. */
const SEAT = Symbol('seat in the connection guard')
type Seated<T> = T & { [SEAT]?: Seat<T> | undefined }

/** Where a connection stands among all, and among those of its source that have proved nothing. */
interface Seat<T> {
  readonly amongAll: Place<T>
  readonly inShare: Place<T>
  share: Share<T> | undefined
}

/**
 * Bounds how many connections there are, in total and for each source address: an IPv4 address or the /64 of an IPv6
 * address (docs/configuration.md, limits). Where a share is used up, the oldest connection that has sent nothing valid
 * yet makes room; where all have, the newcomer is refused: whoever has proved to be a client is never pushed out by
 * strangers. A connection is in the care of one guard only.
 */
export class ConnectionGuard<T extends Displaceable> {
  readonly #limits: ConnectionLimits
  readonly #onLimit: (limit: ConnectionLimit, source: string) => void
  readonly #shares = new Map<string, Share<T>>()
  /** Oldest first, in two lines. */
  readonly #unproven = new Line<T>()
  readonly #proven = new Line<T>()

  /** @param onLimit told of each connection that was pushed out or refused */
  constructor(limits: ConnectionLimits, onLimit: (limit: ConnectionLimit, source: string) => void = () => undefined) {
    this.#limits = limits
    this.#onLimit = onLimit
  }

  get connections(): number {
    return this.#unproven.length + this.#proven.length
  }

  get sources(): number {
    return this.#shares.size
  }

  /** Whether somebody at this address is connected; of addresses without a share of their own it is not known. */
  has(ip: string): boolean {
    return this.#shares.has(sourcePrefix(ip))
  }

  *[Symbol.iterator](): Generator<T, undefined> {
    yield* this.#proven
    return yield* this.#unproven
  }

  /** False: the newcomer is refused. */
  admit(connection: Seated<T>, ip: string): boolean {
    const source = this.#limits.isExempt?.(ip) ? undefined : sourcePrefix(ip)
    if (source !== undefined && !this.#makeRoomFor(source)) return false
    if (this.connections >= this.#limits.total) {
      this.#onLimit('connections_total', source ?? ip)
      const oldest = this.#unproven.first
      if (!oldest) return false
      this.#displace(oldest)
    }
    const share = source === undefined ? undefined : this.#shareFor(source)
    const seat = { amongAll: new Place<T>(connection), inShare: new Place<T>(connection), share }
    connection[SEAT] = seat
    this.#unproven.append(seat.amongAll)
    if (share) {
      share.count++
      share.unproven.append(seat.inShare)
    }
    return true
  }

  /** The connection has sent a valid message: it is never pushed out any more. */
  prove(connection: Seated<T>): void {
    const seat = connection[SEAT]
    if (seat?.amongAll.line !== this.#unproven) return
    this.#proven.append(seat.amongAll)
    seat.inShare.leave()
  }

  /**
   * The connection has its right to stay from elsewhere: it is never pushed out, and takes nothing from its source's
   * share any more. May be called twice.
   */
  exempt(connection: Seated<T>): void {
    this.prove(connection)
    const seat = connection[SEAT]
    if (!seat) return
    this.#leaveShare(seat)
    seat.share = undefined
  }

  /** The connection is gone. May be called twice. */
  remove(connection: Seated<T>): void {
    const seat = connection[SEAT]
    if (!seat) return
    connection[SEAT] = undefined
    seat.amongAll.leave()
    this.#leaveShare(seat)
  }

  #leaveShare({ share, inShare }: Seat<T>): void {
    inShare.leave()
    if (share && --share.count === 0) this.#shares.delete(share.source)
  }

  #makeRoomFor(source: string): boolean {
    const share = this.#shares.get(source)
    if (!share || share.count < this.#limits.perSource) return true
    this.#onLimit('connections_per_source', source)
    const oldest = share.unproven.first
    if (!oldest) return false
    this.#displace(oldest)
    return true
  }

  #displace(connection: T): void {
    this.remove(connection)
    connection.destroy('displaced')
  }

  #shareFor(source: string): Share<T> {
    let share = this.#shares.get(source)
    if (!share) {
      share = { source, count: 0, unproven: new Line() }
      this.#shares.set(source, share)
    }
    return share
  }
}
