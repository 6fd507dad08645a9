import type { Arrival } from './arrival.ts'
import type { Clock, Timer } from './clock.ts'
import type { ArrivalEnd } from './events.ts'
import type { RelayHalf } from './relay-half.ts'
import type { HalfPlace, Meeting, SessionBroker } from './session-broker.ts'
import { UnticketedHalves } from './unticketed-halves.ts'
import type { WaitingLimits } from './waiting-halves.ts'

/** Pauses between two questions for a ticket that has not come yet: each twice the one before, within these. */
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 1_000

/** How often a half is sent to one that has gone before it is turned away. */
const MAX_JOINS = 4

/**
 * A half that was handed over has met its partner by then. If it has not, the place that it was given under its old name
 * is given back, so that it can have another under its new one.
 */
const HANDED_OVER_MS = 1_000

export interface BrokeredHalvesSettings {
  readonly limits: WaitingLimits
  /** A half whose ticket has not come by then is turned away. */
  readonly ticketMs: number
  /** What becomes of a half when its broker cannot ask anybody. */
  readonly whenUnavailable: 'wait' | 'turn-away'
}

/** What the relay does with halves that a broker has spoken about. */
export interface BrokeredHalvesHost {
  /** The half waits on this relay for a partner. Undefined, or why it may not. */
  letWait(half: Arrival): ArrivalEnd | undefined
  pair(first: Arrival, second: Arrival): void
  /** The half's partner is on another relay, at the end of this stream. */
  pairAcross(half: Arrival, remote: RelayHalf): void
  /** The half is another relay's from now on. */
  handedOver(half: Arrival): void
  turnAway(half: Arrival, reason: ArrivalEnd): void
  brokerFailed(error: unknown): void
}

/** The halves of one session that nobody has vouched for yet. */
interface Session {
  readonly first: Arrival
  /** Came while the first one's question was open: what becomes of it follows from the answer. */
  second: Arrival | undefined
  /** `may-hold`: the broker may have given the first half a place, or another half to join. */
  place: 'none' | 'may-hold'
  /** Two others were about to meet when the broker was asked last. */
  isBusy: boolean
  pauseMs: number
  timer: Timer | undefined
  joins: number
}

/**
 * Halves that found no partner on their relay, until their broker has said what becomes of them. Each question is open
 * for a while; whatever happens meanwhile, a half that comes here finds the one whose question is open, and a half that
 * has gone gives back what the answer gave it.
 */
export class BrokeredHalves {
  readonly #broker: SessionBroker
  readonly #clock: Clock
  readonly #host: BrokeredHalvesHost
  readonly #settings: BrokeredHalvesSettings
  readonly #unticketed: UnticketedHalves<Arrival>
  readonly #sessions = new Map<string, Session>()

  constructor(options: {
    readonly broker: SessionBroker
    readonly clock: Clock
    readonly host: BrokeredHalvesHost
    readonly settings: BrokeredHalvesSettings
  }) {
    this.#broker = options.broker
    this.#clock = options.clock
    this.#host = options.host
    this.#settings = options.settings
    this.#unticketed = new UnticketedHalves(options.settings.limits)
  }

  get size(): number {
    return this.#unticketed.size
  }

  [Symbol.iterator](): Iterator<Arrival> {
    return this.#unticketed[Symbol.iterator]()
  }

  /** Takes a half that found no partner waiting on this relay. False: it was turned away. */
  add(half: Arrival): boolean {
    if (!this.#makeRoomFor(half)) return false
    const session = this.#sessions.get(half.uuid)
    if (session?.second) {
      this.#host.turnAway(half, 'ticket_used')
      return false
    }
    this.#unticketed.add(half)
    half.timer?.cancel()
    half.timer = this.#clock.after(this.#settings.ticketMs, () => this.#tooLate(half))
    half.wait()
    if (!session) this.#begin(half)
    else {
      session.second = half
      this.#askAgainNow(session)
    }
    return true
  }

  /** Whether `take` would find it. */
  holds(uuid: string, name: string): boolean {
    const session = this.#sessions.get(uuid)
    return session?.first.name === name && session.place === 'may-hold'
  }

  /** The half that a relay was sent to join, if it still waits for the answer that says so. */
  take(uuid: string, name: string): Arrival | undefined {
    const session = this.#sessions.get(uuid)
    if (!session || !this.holds(uuid, name)) return undefined
    if (session.second) this.#host.turnAway(session.second, 'ticket_used')
    this.#forget(session)
    return session.first
  }

  /** The half has gone, or was turned away. False: it is not here. */
  remove(half: Arrival): boolean {
    if (!this.#unticketed.remove(half)) return false
    const session = this.#sessions.get(half.uuid)
    if (session?.second === half) session.second = undefined
    else if (session?.first === half) this.#endSession(session)
    return true
  }

  #begin(first: Arrival): void {
    const session: Session = {
      first,
      second: undefined,
      place: 'none',
      isBusy: false,
      pauseMs: FIRST_PAUSE_MS,
      timer: undefined,
      joins: 0,
    }
    this.#sessions.set(first.uuid, session)
    void this.#meet(session)
  }

  async #meet(session: Session, gone?: HalfPlace): Promise<void> {
    const { first } = session
    const { uuid, name, device } = first
    session.place = 'may-hold'
    const meeting = await this.#ask({ uuid, name, device, ...(gone && { gone }) })
    if (this.#sessions.get(uuid) !== session) {
      this.#giveBack(first)
      return
    }
    switch (meeting.kind) {
      case 'wait':
        this.#settle(session, meeting.device)
        return
      case 'join':
        await this.#join(session, { node: meeting.node, half: meeting.half })
        return
      case 'no-ticket':
      case 'busy':
        session.place = 'none'
        session.isBusy = meeting.kind === 'busy'
        this.#unticketed.hasNoTicket(first)
        this.#askAgainLater(session)
        return
      case 'wrong-device':
      case 'used':
        session.place = 'none'
        this.#host.turnAway(first, meeting.kind === 'used' ? 'ticket_used' : 'wrong_device')
        return
      case 'unavailable':
        if (!this.#broker.requiresTickets || this.#settings.whenUnavailable === 'wait') this.#settle(session, undefined)
        else this.#host.turnAway(first, 'broker_unavailable')
        return
      default:
        meeting satisfies never
    }
  }

  async #ask(half: Parameters<SessionBroker['meet']>[0]): Promise<Meeting> {
    try {
      return await this.#broker.meet(half)
    } catch (error) {
      // No relayed session may end because of a broker.
      this.#host.brokerFailed(error)
      return { kind: 'unavailable' }
    }
  }

  /** The first half waits here from now on, or meets the second at once. */
  #settle(session: Session, device: string | undefined): void {
    const { first, second } = session
    first.ticketDevice = device
    if (second && !mayMeet(first, second)) this.#host.turnAway(second, 'wrong_device')
    const partner = session.second
    if (partner) {
      this.#forget(session)
      this.#broker.met(first.uuid)
      this.#host.pair(first, partner)
      return
    }
    const refusal = this.#host.letWait(first)
    if (refusal) this.#host.turnAway(first, refusal)
    else this.#forget(session)
  }

  async #join(session: Session, place: HalfPlace): Promise<void> {
    const { first } = session
    first.half.prove()
    if (this.#handOver(session, place)) return
    const remote = await this.#dial(place, first)
    if (this.#sessions.get(first.uuid) !== session) {
      remote?.destroy()
      this.#giveBack(first)
      return
    }
    if (!remote) {
      session.joins++
      if (session.joins < MAX_JOINS) await this.#meet(session, place)
      else this.#host.turnAway(first, 'partner_unreachable')
      return
    }
    if (session.second) this.#host.turnAway(session.second, 'ticket_used')
    this.#forget(session)
    this.#broker.met(first.uuid)
    this.#host.pairAcross(first, remote)
  }

  /** True: the partner waits on a relay of this host, which has the half now. */
  #handOver(session: Session, { node }: HalfPlace): boolean {
    const { first, second } = session
    // Where the one that waits has gone after all, these two meet here.
    if (second || !this.#broker.handOver?.(node, first.half, () => first.stream)) return false
    this.#forget(session)
    first.leave()
    this.#clock.after(HANDED_OVER_MS, () => this.#broker.leave(first.uuid, first.name))
    this.#host.handedOver(first)
    return true
  }

  async #dial({ node, half }: HalfPlace, own: Arrival): Promise<RelayHalf | undefined> {
    try {
      return await this.#broker.dial(node, own.uuid, half, own.half.transport)
    } catch (error) {
      this.#host.brokerFailed(error)
      return undefined
    }
  }

  #tooLate(half: Arrival): void {
    this.#host.turnAway(half, this.#sessions.get(half.uuid)?.isBusy ? 'ticket_used' : 'no_ticket')
  }

  #askAgainLater(session: Session): void {
    session.timer = this.#clock.after(session.pauseMs, () => {
      session.timer = undefined
      void this.#meet(session)
    })
    session.pauseMs = Math.min(session.pauseMs * 2, LONGEST_PAUSE_MS)
  }

  /** A device may be quicker than its ticket; where the controller comes it has been sent, and the ticket is there. */
  #askAgainNow(session: Session): void {
    // Otherwise the question is open already.
    if (!session.timer) return
    session.timer.cancel()
    session.timer = undefined
    void this.#meet(session)
  }

  /** The answer came too late: whoever is paired by now keeps it, whoever has gone has no use for it. */
  #giveBack(half: Arrival): void {
    if (half.isOver) this.#broker.leave(half.uuid, half.name)
  }

  /** The first half is no more; the second, if any, goes on as the first. */
  #endSession(session: Session): void {
    const { first, second } = session
    this.#sessions.delete(first.uuid)
    session.timer?.cancel()
    if (session.place === 'may-hold') this.#broker.leave(first.uuid, first.name)
    if (second) this.#begin(second)
  }

  /** What becomes of its halves is known. */
  #forget(session: Session): void {
    const { first, second } = session
    this.#sessions.delete(first.uuid)
    session.timer?.cancel()
    this.#unticketed.remove(first)
    if (second) this.#unticketed.remove(second)
  }

  #makeRoomFor(half: Arrival): boolean {
    const full = this.#unticketed.fullFor(half)
    if (!full) return true
    this.#host.turnAway(full.displaceable ?? half, full.reason)
    return full.displaceable !== undefined
  }
}

/** Whether the second half may be let in by the ticket of the first. */
export const mayMeet = ({ ticketDevice }: Arrival, { device }: Arrival): boolean =>
  ticketDevice === undefined || device === '' || device === ticketDevice
