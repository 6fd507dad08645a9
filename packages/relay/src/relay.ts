import type { AddressList } from './address-list.ts'
import { Arrival, type Reception } from './arrival.ts'
import type { Bandwidth, BandwidthSettings } from './bandwidth.ts'
import { BrokeredHalves, type BrokeredHalvesSettings, mayMeet } from './brokered-halves.ts'
import type { Clock } from './clock.ts'
import { RelayCounters } from './counters.ts'
import type { ArrivalEnd, RelayEvents } from './events.ts'
import { Pairs } from './pairs.ts'
import type { RelayHalf } from './relay-half.ts'
import { decideRequest } from './relay-request.ts'
import type { SessionBroker } from './session-broker.ts'
import type { UsageRecord } from './usage.ts'
import { WaitingHalves, type WaitingLimits } from './waiting-halves.ts'

export interface RelaySettings {
  /** What clients must present; undefined: anybody may use this relay. */
  readonly expectedKey: string | undefined
  readonly bandwidth: BandwidthSettings
  readonly waiting: WaitingLimits
  /** For halves that a broker is asked about; without one nobody reads it. */
  readonly brokered: BrokeredHalvesSettings
  /** A longer first message is refused by its header. */
  readonly firstMessageMaxBytes: number
  /** Longest message where frames and WebSocket messages are translated: it has to be held in memory. */
  readonly maxMessageBytes: number
  readonly firstMessageMs: number
  readonly pairMs: number
}

export const DEFAULT_RELAY_SETTINGS = Object.freeze({
  firstMessageMaxBytes: 4 * 1024,
  // What stock clients take in one WebSocket frame.
  maxMessageBytes: 16 * 1024 * 1024,
  firstMessageMs: 30_000,
  pairMs: 30_000,
  brokered: Object.freeze({
    // Partners and tickets come within a round trip: these are seconds of a busy relay, or many minutes of a quiet one.
    limits: Object.freeze({ perSource: 64, total: 512 }),
    // As long as clients wait for a word of their partner.
    ticketMs: 18_000,
    whenUnavailable: 'turn-away',
  }),
} as const)

/** The relay: brings the two halves of a session together and watches over them. */
export class Relay {
  readonly counters = new RelayCounters()
  readonly #settings: RelaySettings
  readonly #clock: Clock
  readonly #events: RelayEvents
  readonly #lists: { readonly blocklist: AddressList; readonly blacklist: AddressList }
  readonly #waiting: WaitingHalves<Arrival>
  readonly #arriving = new Set<Arrival>()
  readonly #pairs: Pairs
  /** Undefined: this relay is alone, and whoever has the key may use it. */
  readonly #broker: SessionBroker | undefined
  readonly #brokered: BrokeredHalves | undefined
  readonly #reception: Reception
  #namedHalves = 0
  #isClosed = false
  #whenNobodyWaits: (() => void)[] = []

  constructor(options: {
    readonly settings: RelaySettings
    readonly clock: Clock
    readonly events: RelayEvents
    readonly blocklist: AddressList
    readonly blacklist: AddressList
    /** Where halves find each other across relays. Not there: a half meets whoever names its session here. */
    readonly broker?: SessionBroker | undefined
  }) {
    this.#settings = options.settings
    this.#clock = options.clock
    this.#events = options.events
    this.#lists = options
    this.#pairs = new Pairs({
      bandwidth: options.settings.bandwidth,
      maxMessageBytes: options.settings.maxMessageBytes,
      clock: options.clock,
      counters: this.counters,
      events: options.events,
      lists: options,
    })
    this.#waiting = new WaitingHalves(options.settings.waiting)
    this.#broker = options.broker
    this.#brokered = options.broker && this.#newBrokeredHalves(options.broker)
    this.#reception = {
      firstMessageMaxBytes: options.settings.firstMessageMaxBytes,
      firstMessage: (arrival, payload) => this.#firstMessage(arrival, payload),
      lost: (arrival, reason) => this.#turnAway(arrival, reason),
    }
  }

  get bandwidth(): Bandwidth {
    return this.#pairs.bandwidth
  }

  get waitingCount(): number {
    return this.#waiting.size
  }

  get pairCount(): number {
    return this.#pairs.size
  }

  /** Halves whose session is counted by the relay that their partner has come to. */
  get joinedCount(): number {
    return this.#pairs.joinedSize
  }

  /** Halves that nobody has vouched for yet: their broker is being asked, or their ticket has not come. */
  get unticketedCount(): number {
    return this.#brokered?.size ?? 0
  }

  get arrivingCount(): number {
    return this.#arriving.size
  }

  /** Figures of the running pairs that have been evaluated, the largest total first. */
  usage(): UsageRecord[] {
    return this.#pairs.usage()
  }

  /** Whether connections from this address are closed before anything is read from them. */
  refuses(ip: string): boolean {
    if (!this.#lists.blocklist.includes(ip)) return false
    this.counters.turnedAway.blocked_address++
    this.#events.turnedAway('blocked_address', { ip, port: 0 }, '')
    return true
  }

  /**
   * Takes over a connection that was accepted, a WebSocket after its upgrade.
   *
   * @param spentMs how much of the time for the first message is over
   * @param from who accepted it: this relay, or one on the same host that hands it over
   */
  arrive(half: RelayHalf, spentMs = 0, from: 'here' | 'sibling' = 'here'): void {
    const arrival = new Arrival(half, this.#reception)
    this.#arriving.add(arrival)
    if (from === 'here') this.counters.arrived++
    else this.counters.takenOver++
    if (this.#isClosed) this.#turnAway(arrival, 'draining')
    else if (this.#lists.blocklist.includes(half.remote.ip)) this.#turnAway(arrival, 'blocked_address')
    else {
      arrival.timer = this.#clock.after(this.#settings.firstMessageMs - spentMs, () => {
        if (!arrival.hasFirstMessage) this.#turnAway(arrival, 'first_message_timeout')
      })
    }
  }

  /** Whether the half of this session and name waits here for one that another relay was sent to join it with. */
  awaits(uuid: string, name: string): boolean {
    return this.#waiting.find(uuid)?.name === name || this.#brokered?.holds(uuid, name) === true
  }

  /**
   * Pairs the half that waits here with one that has come to another relay, at the end of a stream from there. Limits and
   * figures of the session are that relay's.
   *
   * @param far what the half at the other end speaks
   * @returns false when that half has gone, or has met another; nothing was done with the stream then
   */
  join(uuid: string, name: string, remote: RelayHalf, far: RelayHalf['transport'] = 'tcp'): boolean {
    const waiting = this.#waiting.find(uuid)
    const half = waiting?.name === name ? waiting : this.#brokered?.take(uuid, name)
    if (!half) return false
    this.#waiting.remove(uuid, half)
    half.half.prove()
    this.#pairs.startJoined(half, remote, far)
    this.#noteWaitingGone()
    return true
  }

  /** The limit of all pairs together acts at once. */
  setTotalMegabits(megabits: number): void {
    this.#pairs.setTotalMegabits(megabits)
  }

  /** Resolves as soon as no half waits for its partner. */
  nobodyWaits(): Promise<void> {
    if (this.#waiting.size === 0 && this.unticketedCount === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenNobodyWaits.push(resolve))
  }

  /** Resolves as soon as no pair is left. */
  nobodyRelays(): Promise<void> {
    return this.#pairs.nobodyRelays()
  }

  /** Turns away whoever is not half of a pair, now and from now on. */
  closeArrivals(): void {
    this.#isClosed = true
    const all = [...this.#arriving, ...this.#waiting, ...(this.#brokered ?? [])]
    for (const arrival of all) this.#turnAway(arrival, 'draining')
  }

  closePairs(): void {
    this.#pairs.close()
  }

  #firstMessage(arrival: Arrival, payload: Uint8Array): void {
    const decision = decideRequest(payload, this.#settings.expectedKey)
    if (decision.kind === 'refuse') {
      this.#turnAway(arrival, decision.reason)
      return
    }
    arrival.uuid = decision.uuid
    arrival.role = decision.role
    arrival.device = decision.device
    if (this.#brokered) {
      this.#findBrokered(arrival, this.#brokered)
      return
    }
    const place = this.#waiting.takeOrPut(decision.uuid, arrival)
    switch (place.kind) {
      case 'refused':
        arrival.uuid = ''
        this.#turnAway(arrival, place.reason)
        return
      case 'waiting':
        this.#letWait(arrival)
        return
      case 'paired':
        this.#pair(place.partner, arrival)
        return
      default:
        place satisfies never
    }
  }

  #letWait(arrival: Arrival): void {
    arrival.timer?.cancel()
    this.#arriving.delete(arrival)
    arrival.half.prove()
    arrival.wait()
    arrival.timer = this.#clock.after(this.#settings.pairMs, () => this.#turnAway(arrival, 'pair_timeout'))
    this.#events.waiting(arrival.uuid, arrival.half.remote)
  }

  /** Pairs with a half that waits here, whose ticket is known; else the broker is asked. */
  #findBrokered(arrival: Arrival, brokered: BrokeredHalves): void {
    arrival.name = (++this.#namedHalves).toString(36)
    const partner = this.#waiting.find(arrival.uuid)
    if (!partner) {
      if (brokered.add(arrival)) this.#arriving.delete(arrival)
      return
    }
    if (!mayMeet(partner, arrival)) {
      this.#turnAway(arrival, 'wrong_device')
      return
    }
    this.#waiting.remove(arrival.uuid, partner)
    this.#broker?.met(arrival.uuid)
    this.#pair(partner, arrival)
  }

  #pair(first: Arrival, second: Arrival): void {
    this.#arriving.delete(second)
    first.half.prove()
    second.half.prove()
    this.#pairs.start(first, second)
    this.#noteWaitingGone()
  }

  #turnAway(arrival: Arrival, reason: ArrivalEnd): void {
    // A timer may fire for a uuid under which somebody else waits by now: only this very arrival is removed.
    const waited = arrival.uuid !== '' && this.#waiting.remove(arrival.uuid, arrival)
    const wasUnticketed = !waited && this.#brokered?.remove(arrival) === true
    if (!this.#arriving.delete(arrival) && !waited && !wasUnticketed) return
    if (waited) this.#broker?.leave(arrival.uuid, arrival.name)
    arrival.turnAway()
    this.counters.turnedAway[reason]++
    this.#events.turnedAway(reason, arrival.half.remote, arrival.uuid)
    this.#noteWaitingGone()
  }

  #noteWaitingGone(): void {
    if (this.#waiting.size > 0 || this.unticketedCount > 0) return
    for (const resolve of this.#whenNobodyWaits.splice(0)) resolve()
  }

  #newBrokeredHalves(broker: SessionBroker): BrokeredHalves {
    return new BrokeredHalves({
      broker,
      clock: this.#clock,
      settings: this.#settings.brokered,
      host: {
        letWait: (half) => {
          const place = this.#waiting.takeOrPut(half.uuid, half)
          if (place.kind === 'refused') return place.reason
          this.#letWait(half)
          return undefined
        },
        pair: (first, second) => this.#pair(first, second),
        pairAcross: (half, remote) => {
          this.#pairs.startAcross(half, remote)
          this.#noteWaitingGone()
        },
        handedOver: (half) => {
          this.counters.handedOver++
          this.#events.handedOver(half.uuid, half.half.remote)
          this.#noteWaitingGone()
        },
        turnAway: (half, reason) => this.#turnAway(half, reason),
        brokerFailed: (error) => this.#events.brokerFailed(error),
      },
    })
  }
}
