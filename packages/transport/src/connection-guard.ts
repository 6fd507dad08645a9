import { sourcePrefix } from '@tryst/rendezvous'

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
  readonly unproven: Set<T>
}

/**
 * Bounds how many connections there are, in total and for each source address: an IPv4 address or the /64 of an IPv6
 * address (docs/configuration.md, limits). Where a share is used up, the oldest connection that has sent nothing valid
 * yet makes room; where all have, the newcomer is refused: whoever has proved to be a client is never pushed out by
 * strangers.
 */
export class ConnectionGuard<T extends Displaceable> {
  readonly #limits: ConnectionLimits
  readonly #onLimit: (limit: ConnectionLimit, source: string) => void
  readonly #shares = new Map<string, Share<T>>()
  readonly #shareOf = new Map<T, Share<T> | undefined>()
  /** Oldest first. */
  readonly #unproven = new Set<T>()

  /** @param onLimit told of each connection that was pushed out or refused */
  constructor(limits: ConnectionLimits, onLimit: (limit: ConnectionLimit, source: string) => void = () => undefined) {
    this.#limits = limits
    this.#onLimit = onLimit
  }

  get connections(): number {
    return this.#shareOf.size
  }

  get sources(): number {
    return this.#shares.size
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#shareOf.keys()
  }

  /** False: the newcomer is refused. */
  admit(connection: T, ip: string): boolean {
    const source = this.#limits.isExempt?.(ip) ? undefined : sourcePrefix(ip)
    if (source !== undefined && !this.#makeRoomFor(source)) return false
    if (this.#shareOf.size >= this.#limits.total) {
      this.#onLimit('connections_total', source ?? ip)
      const oldest = first(this.#unproven)
      if (!oldest) return false
      this.#displace(oldest)
    }
    const share = source === undefined ? undefined : this.#shareFor(source)
    this.#shareOf.set(connection, share)
    this.#unproven.add(connection)
    if (share) {
      share.count++
      share.unproven.add(connection)
    }
    return true
  }

  /** The connection has sent a valid message: it is never pushed out any more. */
  prove(connection: T): void {
    if (this.#unproven.delete(connection)) this.#shareOf.get(connection)?.unproven.delete(connection)
  }

  /** The connection is gone. May be called twice. */
  remove(connection: T): void {
    const share = this.#shareOf.get(connection)
    if (!this.#shareOf.delete(connection)) return
    this.#unproven.delete(connection)
    if (!share) return
    share.unproven.delete(connection)
    share.count--
    if (share.count === 0) this.#shares.delete(share.source)
  }

  #makeRoomFor(source: string): boolean {
    const share = this.#shares.get(source)
    if (!share || share.count < this.#limits.perSource) return true
    this.#onLimit('connections_per_source', source)
    const oldest = first(share.unproven)
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
      share = { source, count: 0, unproven: new Set() }
      this.#shares.set(source, share)
    }
    return share
  }
}

const first = <T>(set: ReadonlySet<T>): T | undefined => set.values().next().value
