import type { Clock } from './clock.ts'
import type { HalfPlace, Meeting, MeetingHalf } from './session-broker.ts'

/** A session that was introduced comes about within this time, or not at all. */
export const TICKET_MS = 60_000

export const DEFAULT_MAX_TICKETS = 50_000

interface Ticket {
  readonly device: string
  readonly issuedAt: number
  /** The half that waits for the other. */
  waiting: HalfPlace | undefined
  /** The half that was sent to the one that waits. */
  joining: HalfPlace | undefined
  /** Two halves have met. */
  isOver: boolean
}

/**
 * The tickets of sessions that an ID server introduced, and which of their halves have come. A ticket admits two halves,
 * for a minute; one that leaves before it has met the other gives its place back.
 *
 * It is the whole of a broker's decisions for relays that share this one book.
 */
export class TicketBook {
  readonly #clock: Clock
  readonly #maxTickets: number
  /** In the order in which they were issued. */
  readonly #tickets = new Map<string, Ticket>()

  constructor({ clock, maxTickets = DEFAULT_MAX_TICKETS }: { readonly clock: Clock; readonly maxTickets?: number }) {
    this.#clock = clock
    this.#maxTickets = maxTickets
  }

  get size(): number {
    return this.#tickets.size
  }

  /** Sessions issued since `sinceMs` that have not come about. */
  outstanding(sinceMs = Number.NEGATIVE_INFINITY): number {
    this.#dropExpired()
    let count = 0
    for (const ticket of this.#tickets.values()) if (ticket.issuedAt >= sinceMs && !ticket.isOver) count++
    return count
  }

  /** A session that is introduced a second time keeps its first ticket: what was used stays used. */
  issue(uuid: string, device: string): void {
    this.#dropExpired()
    if (this.#tickets.has(uuid)) return
    this.#tickets.set(uuid, {
      device,
      issuedAt: this.#clock.now(),
      waiting: undefined,
      joining: undefined,
      isOver: false,
    })
    if (this.#tickets.size > this.#maxTickets) this.#dropOldest()
  }

  meet(node: string, { uuid, name, device, gone }: MeetingHalf): Meeting {
    this.#dropExpired()
    const ticket = this.#tickets.get(uuid)
    if (!ticket) return { kind: 'no-ticket' }
    if (device !== '' && device !== ticket.device) return { kind: 'wrong-device' }
    if (ticket.isOver) return { kind: 'used' }
    // Whoever asks again starts anew, with what is known of the other by now.
    if (isPlaceOf(ticket.joining, node, name)) {
      if (ticket.waiting && !(gone && isPlaceOf(ticket.waiting, gone.node, gone.half))) return joinOf(ticket.waiting)
      ticket.joining = undefined
      ticket.waiting = undefined
    }
    if (!ticket.waiting || isPlaceOf(ticket.waiting, node, name)) {
      ticket.waiting = { node, half: name }
      return { kind: 'wait', device: ticket.device }
    }
    if (ticket.joining) return { kind: 'busy' }
    ticket.joining = { node, half: name }
    return joinOf(ticket.waiting)
  }

  met(uuid: string): void {
    const ticket = this.#tickets.get(uuid)
    if (ticket) ticket.isOver = true
  }

  leave(uuid: string, node: string, name: string): void {
    const ticket = this.#tickets.get(uuid)
    if (!ticket) return
    if (isPlaceOf(ticket.waiting, node, name)) ticket.waiting = undefined
    else if (isPlaceOf(ticket.joining, node, name)) ticket.joining = undefined
  }

  #dropExpired(): void {
    const expiredAt = this.#clock.now() - TICKET_MS
    for (const [uuid, { issuedAt }] of this.#tickets) {
      if (issuedAt > expiredAt) return
      this.#tickets.delete(uuid)
    }
  }

  #dropOldest(): void {
    for (const uuid of this.#tickets.keys()) {
      this.#tickets.delete(uuid)
      return
    }
  }
}

const isPlaceOf = (place: HalfPlace | undefined, node: string, name: string): boolean =>
  place !== undefined && place.node === node && place.half === name

const joinOf = ({ node, half }: HalfPlace): Meeting => ({ kind: 'join', node, half })
