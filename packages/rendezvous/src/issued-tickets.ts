import type { Clock } from './connection.ts'
import type { RendezvousEvents } from './events.ts'
import type { PeerId } from './peer-identity.ts'
import type { RelayTickets } from './relay-tickets.ts'

/** How long both sides of a session have to come to a relay. */
export const TICKET_LIFETIME_MS = 60_000
/** About 200 bytes each; beyond it the oldest is forgotten, which relays then know of from the shared memory only. */
const MAX_TICKETS = 100_000
/** Stock clients draw 36 characters; longer than any name of a session that a relay would take. */
const MAX_UUID_CHARS = 256

interface Ticket {
  readonly device: PeerId
  readonly untilMs: number
}

/** The tickets of this node: written where relays find them, and remembered for relays that can't look there. */
export class IssuedTickets {
  /** By uuid, oldest first. */
  readonly #tickets = new Map<string, Ticket>()

  constructor(
    private readonly parts: {
      readonly tickets: RelayTickets
      readonly clock: Clock
      readonly events: Pick<RendezvousEvents, 'unavailable'>
    },
  ) {}

  get size(): number {
    return this.#tickets.size
  }

  /** Settled, never rejected, once relays may be told of the session; undefined: at once. */
  issue(uuid: string, device: PeerId): Promise<void> | undefined {
    const { tickets, events } = this.parts
    if (uuid === '' || uuid.length > MAX_UUID_CHARS) return undefined
    const written = tickets.issue(uuid, device)
    if (!written) return undefined
    this.#remember(uuid, device)
    return written.catch((error: unknown) => events.unavailable('ticket', error))
  }

  /** The device of a session that was introduced here within the last minute. */
  find(uuid: string): PeerId | undefined {
    const ticket = this.#tickets.get(uuid)
    return ticket && ticket.untilMs > this.parts.clock() ? ticket.device : undefined
  }

  #remember(uuid: string, device: PeerId): void {
    const nowMs = this.parts.clock()
    this.#tickets.delete(uuid)
    for (const [oldest, { untilMs }] of this.#tickets) {
      if (untilMs > nowMs && this.#tickets.size < MAX_TICKETS) break
      this.#tickets.delete(oldest)
    }
    this.#tickets.set(uuid, { device, untilMs: nowMs + TICKET_LIFETIME_MS })
  }
}
