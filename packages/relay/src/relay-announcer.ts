/** What clients and ID servers should know of this relay. */
export interface RelayAnnouncement {
  /** `host:port` for clients. */
  readonly address: string
  readonly region: string
  /** What it can carry and what it carries now, in bits a second. */
  readonly capacityBitsPerSecond: number
  readonly loadBitsPerSecond: number
}

/** How a relay makes itself known; an announcement that is not renewed within its lease is gone. */
export interface RelayAnnouncer {
  announce(relay: RelayAnnouncement, leaseMs: number): Promise<void>
  withdraw(address: string): Promise<void>
}
