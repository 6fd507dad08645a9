import type { AnnouncedRelay, Clock, RelayAnnouncer, RelayDirectory } from '@tryst/rendezvous'

interface Announcement {
  readonly relay: AnnouncedRelay
  readonly untilMs: number
}

/** The relays that announce themselves to servers in the same process. */
export class InProcessRelayDirectory implements RelayDirectory, RelayAnnouncer {
  readonly isFresh = true
  readonly #clock: Clock
  readonly #announcements = new Map<string, Announcement>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  live(): readonly AnnouncedRelay[] {
    const nowMs = this.#clock()
    const live: AnnouncedRelay[] = []
    for (const [address, { relay, untilMs }] of this.#announcements) {
      if (untilMs > nowMs) live.push(relay)
      else this.#announcements.delete(address)
    }
    return live
  }

  async announce(relay: AnnouncedRelay, leaseMs: number): Promise<void> {
    this.#announcements.set(relay.address, { relay, untilMs: this.#clock() + leaseMs })
  }

  async withdraw(address: string): Promise<void> {
    this.#announcements.delete(address)
  }
}
