import type { AnnouncedRelay, RelayAnnouncer } from '@tryst/rendezvous'

/** ID servers forget a relay that has said nothing for so long. */
const LEASE_MS = 3_000
const RENEW_EVERY_MS = 1_000

/** Keeps ID servers told of this relay until it is withdrawn. */
export class Announcement {
  readonly #announcer: RelayAnnouncer
  readonly #describe: () => AnnouncedRelay
  readonly #timer: NodeJS.Timeout
  #isWithdrawn = false

  private constructor(announcer: RelayAnnouncer, describe: () => AnnouncedRelay) {
    this.#announcer = announcer
    this.#describe = describe
    this.#timer = setInterval(() => this.#renew(), RENEW_EVERY_MS)
  }

  /** @param describe what they should know, asked again for each renewal */
  static start(announcer: RelayAnnouncer, describe: () => AnnouncedRelay): Announcement {
    const announcement = new Announcement(announcer, describe)
    announcement.#renew()
    return announcement
  }

  /** Nobody is sent here any more. May be called twice. */
  async withdraw(): Promise<void> {
    if (this.#isWithdrawn) return
    this.#isWithdrawn = true
    clearInterval(this.#timer)
    await this.#announcer.withdraw(this.#describe().address)
  }

  #renew(): void {
    // While it can't be renewed the ID servers keep their last list, and try whether we are there.
    this.#announcer.announce(this.#describe(), LEASE_MS).catch(() => {})
  }
}
