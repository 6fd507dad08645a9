import { type Clock, type Meeting, type MeetingHalf, type SessionBroker, TicketBook } from '@tryst/relay'

/** As much as a first message of a client may hold, and an id of a device. */
const MAX_UUID_LENGTH = 4_096
const MAX_DEVICE_LENGTH = 100

/** There is no other relay that shares these tickets. */
const HERE = 'here'

/** Where the tickets come from: a process with a channel to its parent. */
export interface TicketSource {
  on(event: 'message', listener: (message: unknown) => void): unknown
  off(event: 'message', listener: (message: unknown) => void): unknown
}

/**
 * Tickets that the ID server of the same process tree hands over: `{ ticket: { uuid, device } }`, one message each. For
 * `npm start`, where no state is shared.
 */
export class ParentTickets implements SessionBroker {
  readonly requiresTickets = true
  readonly #book: TicketBook
  readonly #clock: Clock
  readonly #source: TicketSource

  constructor({ clock, source, maxTickets }: { clock: Clock; source: TicketSource; maxTickets?: number }) {
    this.#clock = clock
    this.#source = source
    this.#book = new TicketBook({ clock, ...(maxTickets !== undefined && { maxTickets }) })
    source.on('message', this.#receive)
  }

  /** Tickets that are kept, used ones too. */
  get size(): number {
    return this.#book.size
  }

  /** Sessions introduced in the last so many milliseconds that have not come about. */
  outstanding(withinMs: number): number {
    return this.#book.outstanding(this.#clock.now() - withinMs)
  }

  meet(half: MeetingHalf): Promise<Meeting> {
    return Promise.resolve(this.#book.meet(HERE, half))
  }

  met(uuid: string): void {
    this.#book.met(uuid)
  }

  leave(uuid: string, name: string): void {
    this.#book.leave(uuid, HERE, name)
  }

  dial(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  close(): void {
    this.#source.off('message', this.#receive)
  }

  readonly #receive = (message: unknown): void => {
    const ticket = readTicket(message)
    if (ticket) this.#book.issue(ticket.uuid, ticket.device)
  }
}

/** Undefined: the message is about something else. */
function readTicket(message: unknown): { readonly uuid: string; readonly device: string } | undefined {
  if (typeof message !== 'object' || message === null || !('ticket' in message)) return undefined
  const { ticket } = message
  if (typeof ticket !== 'object' || ticket === null || !('uuid' in ticket && 'device' in ticket)) return undefined
  const { uuid, device } = ticket
  if (!isShortText(uuid, MAX_UUID_LENGTH) || !isShortText(device, MAX_DEVICE_LENGTH)) return undefined
  return { uuid, device }
}

const isShortText = (value: unknown, maxLength: number): value is string =>
  typeof value === 'string' && value !== '' && value.length <= maxLength
