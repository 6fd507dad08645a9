/** A relay that is up and may be offered to clients. */
export interface AnnouncedRelay {
  /** `host:port` for clients. */
  readonly address: string
  /** What the operator calls it; for logs. */
  readonly name: string
  readonly region: string
  /** What it can carry and what it carries now, in bits a second. */
  readonly capacityBitsPerSecond: number
  readonly loadBitsPerSecond: number
  /** It lets sessions end and wants no new ones. */
  readonly isDraining: boolean
}

/** Relays that announced themselves. */
export interface RelayDirectory {
  /** The live ones, draining ones included, as last heard; answers at once. While nobody can be asked, the last ones. */
  live(): readonly AnnouncedRelay[]
  /** False while what `live` says can't be renewed: whether they are up has to be seen otherwise. */
  readonly isFresh: boolean
}

/** How a relay makes itself known; an announcement that is not renewed within its lease is gone. */
export interface RelayAnnouncer {
  announce(relay: AnnouncedRelay, leaseMs: number): Promise<void>
  withdraw(address: string): Promise<void>
}
