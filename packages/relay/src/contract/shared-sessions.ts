import type { Clock } from '../clock.ts'
import type { RelayHalf } from '../relay-half.ts'
import type { HalfPlace, Meeting, MeetingHalf, SessionBroker } from '../session-broker.ts'
import { TicketBook } from '../ticket-book.ts'

/** Numbers that look random and are the same at every run. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

export type Dial = (place: HalfPlace, uuid: string, own: RelayHalf['transport']) => Promise<RelayHalf | undefined>

export type HandOver = NonNullable<SessionBroker['handOver']>

export interface SharedSessionsOptions {
  readonly clock: Clock
  /** How long a question takes to arrive, and how long its answer. */
  readonly delay: () => Promise<void>
  readonly requiresTickets?: boolean
}

/** One memory for several relays: each question takes effect in one step, some time after it was asked. */
export class SharedSessions {
  readonly book: TicketBook
  isAway = false
  readonly asked: string[] = []
  readonly #options: SharedSessionsOptions

  constructor(options: SharedSessionsOptions) {
    this.#options = options
    this.book = new TicketBook({ clock: options.clock })
  }

  broker(node: string, dial: Dial, handOver?: HandOver): SessionBroker {
    const { delay, requiresTickets = true } = this.#options
    return {
      requiresTickets,
      meet: async (half) => {
        await delay()
        const meeting = this.#meet(node, half)
        this.asked.push(`${node} ${half.uuid} ${meeting.kind}`)
        await delay()
        return meeting
      },
      met: (uuid) => void delay().then(() => this.book.met(uuid)),
      leave: (uuid, name) => void delay().then(() => this.book.leave(uuid, node, name)),
      dial: (to, uuid, half, own) => dial({ node: to, half }, uuid, own),
      ...(handOver && { handOver }),
    }
  }

  #meet(node: string, half: MeetingHalf): Meeting {
    if (this.isAway) return { kind: 'unavailable' }
    if (this.#options.requiresTickets !== false) return this.book.meet(node, half)
    this.book.issue(half.uuid, '')
    const meeting = this.book.meet(node, { ...half, device: '' })
    return meeting.kind === 'wait' ? { kind: 'wait', device: undefined } : meeting
  }
}
