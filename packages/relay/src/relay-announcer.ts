/** What clients and ID servers should know of this relay. */
export interface RelayAnnouncement {
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

/** How a relay makes itself known; an announcement that is not renewed within its lease is gone. */
export interface RelayAnnouncer {
  announce(relay: RelayAnnouncement, leaseMs: number): Promise<void>
  withdraw(address: string): Promise<void>
}
