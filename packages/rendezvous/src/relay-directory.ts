/** A relay that is up and may be offered to clients. */
export interface AnnouncedRelay {
  /** `host:port` for clients. */
  readonly address: string
  readonly region: string
  /** What it can carry and what it carries now, in bits a second. */
  readonly capacityBitsPerSecond: number
  readonly loadBitsPerSecond: number
}

/** Relays that announced themselves. */
export interface RelayDirectory {
  /** The live ones, as last heard; answers at once. */
  live(): readonly AnnouncedRelay[]
}

/** How a relay makes itself known; an announcement that is not renewed within its lease is gone. */
export interface RelayAnnouncer {
  announce(relay: AnnouncedRelay, leaseMs: number): Promise<void>
  withdraw(address: string): Promise<void>
}
