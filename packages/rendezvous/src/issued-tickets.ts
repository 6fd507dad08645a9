import { sourcePrefix } from '@tryst/protocol'
import type { Clock } from './connection.ts'
import type { RendezvousEvents } from './events.ts'
import type { PeerId } from './peer-identity.ts'
import type { RelayTickets } from './relay-tickets.ts'

/** How long both sides of a session have to come to a relay. */
export const TICKET_LIFETIME_MS = 60_000
/** About 200 bytes each; beyond it the oldest is forgotten, which relays then know of from the shared memory only. */
const MAX_TICKETS = 100_000
/** Of one source within a minute: a ticket is memory in Redis, and takes another one's place here. */
const MAX_TICKETS_OF_SOURCE = 10_000
/** Of one source at once: what is written for it must not use up what the way to Redis has for all. */
const MAX_WRITING_OF_SOURCE = 500
/** Stock clients draw 36 characters; longer than any name of a session that a relay would take. */
const MAX_UUID_CHARS = 256

interface Ticket {
  readonly device: PeerId
  readonly source: string
  readonly untilMs: number
}

/** The tickets of this node: written where relays find them, and remembered for relays that can't look there. */
export class IssuedTickets {
  /** By uuid, oldest first. */
  readonly #tickets = new Map<string, Ticket>()
  readonly #countBySource = new Map<string, number>()
  readonly #writingBySource = new Map<string, number>()

  constructor(
    private readonly parts: {
      readonly tickets: RelayTickets
      readonly clock: Clock
      readonly events: Pick<RendezvousEvents, 'unavailable' | 'limitHit'>
    },
  ) {}

  get size(): number {
    return this.#tickets.size
  }

  /**
   * Settled, never rejected, once relays may be told of the session; undefined: at once.
   *
   * @param initiatorIp where the controller is
   */
  issue(uuid: string, device: PeerId, initiatorIp: string): Promise<void> | undefined {
    const { tickets, events } = this.parts
    if (uuid === '' || uuid.length > MAX_UUID_CHARS) return undefined
    const source = sourcePrefix(initiatorIp)
    if (this.#isFullFor(source)) {
      events.limitHit('sessions-per-minute', initiatorIp)
      return undefined
    }
    const written = tickets.issue(uuid, device)
    if (!written) return undefined
    this.#remember(uuid, device, source)
    countUp(this.#writingBySource, source)
    return written
      .catch((error: unknown) => events.unavailable('ticket', error))
      .finally(() => countDown(this.#writingBySource, source))
  }

  /** The device of a session that was introduced here within the last minute. */
  find(uuid: string): PeerId | undefined {
    const ticket = this.#tickets.get(uuid)
    return ticket && ticket.untilMs > this.parts.clock() ? ticket.device : undefined
  }

  #isFullFor(source: string): boolean {
    if ((this.#writingBySource.get(source) ?? 0) >= MAX_WRITING_OF_SOURCE) return true
    if ((this.#countBySource.get(source) ?? 0) < MAX_TICKETS_OF_SOURCE) return false
    this.#dropLapsed()
    return (this.#countBySource.get(source) ?? 0) >= MAX_TICKETS_OF_SOURCE
  }

  #remember(uuid: string, device: PeerId, source: string): void {
    this.#forget(uuid)
    this.#dropLapsed()
    for (const oldest of this.#tickets.keys()) {
      if (this.#tickets.size < MAX_TICKETS) break
      this.#forget(oldest)
    }
    this.#tickets.set(uuid, { device, source, untilMs: this.parts.clock() + TICKET_LIFETIME_MS })
    countUp(this.#countBySource, source)
  }

  #dropLapsed(): void {
    const nowMs = this.parts.clock()
    for (const [oldest, { untilMs }] of this.#tickets) {
      if (untilMs > nowMs) return
      this.#forget(oldest)
    }
  }

  #forget(uuid: string): void {
    const source = this.#tickets.get(uuid)?.source
    if (source === undefined) return
    this.#tickets.delete(uuid)
    countDown(this.#countBySource, source)
  }
}

function countUp(counts: Map<string, number>, source: string): void {
  counts.set(source, (counts.get(source) ?? 0) + 1)
}

function countDown(counts: Map<string, number>, source: string): void {
  const left = (counts.get(source) ?? 0) - 1
  if (left > 0) counts.set(source, left)
  else counts.delete(source)
}
