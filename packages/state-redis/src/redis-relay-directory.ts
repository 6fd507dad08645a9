import type { AnnouncedRelay, RelayAnnouncer, RelayDirectory } from '@tryst/rendezvous'
import type { RedisNode } from './redis-node.ts'

/** The relays that announced themselves, as this node last read them; at most a second old while Redis is there. */
export class RedisRelayDirectory implements RelayDirectory {
  constructor(private readonly node: RedisNode) {}

  live(): readonly AnnouncedRelay[] {
    return this.node.relays
  }

  get isFresh(): boolean {
    return this.node.isFresh
  }
}

/** Makes relays of this node known, together with the node's own lease. */
export class RedisRelayAnnouncer implements RelayAnnouncer {
  constructor(private readonly node: RedisNode) {}

  announce(relay: AnnouncedRelay, leaseMs: number): Promise<void> {
    return this.node.announce(relay, leaseMs)
  }

  withdraw(address: string): Promise<void> {
    return this.node.withdrawRelay(address)
  }
}
