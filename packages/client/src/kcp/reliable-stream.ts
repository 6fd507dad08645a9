import { RoundTrip } from './round-trip.ts'
import { COMMANDS, distance, readSegments, SEGMENT_HEADER_BYTES, type Segment, writeSegment } from './segment.ts'

/** As stock clients set KCP up: 1200 bytes in a datagram, windows of 1024 segments. */
const DATAGRAM_BYTES = 1_200
const SEGMENT_BYTES = DATAGRAM_BYTES - SEGMENT_HEADER_BYTES
export const WINDOW_SEGMENTS = 1_024
/** Between two looks at what has to be sent. */
export const INTERVAL_MS = 10
/** What the other side can take before it has said so. */
const FIRST_REMOTE_WINDOW = 128
/** Segments that were overtaken by so many acknowledged ones are sent again at once, a few times. */
const OVERTAKEN_BY = 2
const OVERTAKEN_LIMIT = 5
/**
 * Segments in flight at once: few at first, one more for each that arrives, half as many after a loss. Stock clients
 * may do without such a limit, and then lose what the other side's socket has no room for.
 */
const FIRST_CONGESTION_WINDOW = 64
const SMALLEST_CONGESTION_WINDOW = 32
/** As many acknowledgements as wait in a datagram that is half full. */
export const MANY_ACKNOWLEDGEMENTS = 24
/** A segment that is lost again and again waits half as long again each time, up to this. */
const LONGEST_RESEND_MS = 3_000
/** A window that is closed is asked about after this time, and then less and less often. */
const FIRST_PROBE_MS = 7_000
const LONGEST_PROBE_MS = 120_000

const NOTHING = new Uint8Array(0)

interface InFlight {
  readonly number: number
  readonly bytes: Uint8Array
  resendAtMs: number
  waitMs: number
  transmissions: number
  overtaken: number
}

/**
 * KCP: an ordered stream of bytes over datagrams that are lost, doubled or overtake one another. Knows neither sockets
 * nor timers: its owner calls `flush` when `nextFlushMs` says so. All times are milliseconds since the stream began.
 */
export class ReliableStream {
  /** Bytes that were not sent yet, in pieces of a segment. */
  readonly #queue: Uint8Array[] = []
  /** By number, oldest first. */
  readonly #inFlight = new Map<number, InFlight>()
  #firstInFlight = 0
  #nextToSend = 0
  #remoteWindow = FIRST_REMOTE_WINDOW
  #congestionWindow = FIRST_CONGESTION_WINDOW
  /** Losses before this one was sent have had their effect. */
  #slowedAt = 0
  #probeAtMs: number | undefined
  #probeWaitMs = FIRST_PROBE_MS

  readonly #arrived: Uint8Array[] = []
  /** Arrived before others that come before them. */
  readonly #early = new Map<number, Uint8Array>()
  #nextToArrive = 0
  readonly #acknowledgements: { readonly number: number; readonly timestamp: number }[] = []
  #tellsWindow = false

  readonly #roundTrip = new RoundTrip(INTERVAL_MS)
  readonly #datagram = new Uint8Array(DATAGRAM_BYTES)
  #datagramLength = 0

  /** @param output takes one datagram; its bytes are valid during the call only */
  constructor(
    private readonly conversation: number,
    private readonly output: (datagram: Uint8Array) => void,
  ) {}

  /** Segments that the other side has not acknowledged, those included that were not sent yet. */
  get unacknowledged(): number {
    return this.#queue.length + this.#inFlight.size
  }

  /** Takes bytes to be sent, which are copied. */
  write(bytes: Uint8Array): void {
    let rest = bytes
    const last = this.#queue.at(-1)
    if (last && last.length < SEGMENT_BYTES) {
      const fitting = rest.subarray(0, SEGMENT_BYTES - last.length)
      const joined = new Uint8Array(last.length + fitting.length)
      joined.set(last)
      joined.set(fitting, last.length)
      this.#queue[this.#queue.length - 1] = joined
      rest = rest.subarray(fitting.length)
    }
    for (let at = 0; at < rest.length; at += SEGMENT_BYTES) this.#queue.push(rest.slice(at, at + SEGMENT_BYTES))
  }

  /** The next bytes that have arrived in order; undefined: none. */
  read(): Uint8Array | undefined {
    const wasFull = this.#arrived.length >= WINDOW_SEGMENTS
    const bytes = this.#arrived.shift()
    this.#takeEarly()
    // The other side may wait for room.
    if (wasFull && this.#arrived.length < WINDOW_SEGMENTS) this.#tellsWindow = true
    return bytes
  }

  /** Takes what a datagram brought; what makes no sense is as good as lost. */
  input(datagram: Uint8Array, nowMs: number): void {
    let highest: number | undefined
    for (const segment of readSegments(datagram)) {
      if (segment.conversation !== this.conversation) return
      this.#remoteWindow = segment.window
      this.#acknowledgedBefore(segment.unacknowledged)
      if (segment.command === COMMANDS.ack) {
        this.#acknowledged(segment, nowMs)
        if (highest === undefined || distance(segment.number, highest) > 0) highest = segment.number
      } else if (segment.command === COMMANDS.push) this.#pushed(segment)
      else if (segment.command === COMMANDS.askWindow) this.#tellsWindow = true
    }
    if (highest !== undefined) this.#overtakenBy(highest)
  }

  /** Sends whatever is due. */
  flush(nowMs: number): void {
    for (const { number, timestamp } of this.#acknowledgements) this.#put(COMMANDS.ack, number, timestamp, NOTHING)
    this.#acknowledgements.length = 0
    this.#probe(nowMs)
    if (this.#tellsWindow) this.#put(COMMANDS.tellWindow, 0, 0, NOTHING)
    this.#tellsWindow = false
    this.#fillWindow(nowMs)
    for (const segment of this.#inFlight.values()) {
      if (!isDue(segment, nowMs)) continue
      this.#transmit(segment, nowMs)
    }
    this.#putDatagram()
  }

  /** Acknowledgements that wait for `flush`. */
  get owedAcknowledgements(): number {
    return this.#acknowledgements.length
  }

  /** In how many milliseconds `flush` has something to do; undefined: not before something arrives or is written. */
  nextFlushMs(nowMs: number): number | undefined {
    if (this.#acknowledgements.length > 0 || this.#tellsWindow) return INTERVAL_MS
    if (this.#queue.length > 0 && this.#hasRoom()) return INTERVAL_MS
    let dueMs = this.#probeAtMs ?? Number.POSITIVE_INFINITY
    if (this.#queue.length > 0 && this.#remoteWindow === 0 && this.#probeAtMs === undefined) return INTERVAL_MS
    for (const { resendAtMs, overtaken, transmissions } of this.#inFlight.values()) {
      if (overtaken >= OVERTAKEN_BY && transmissions <= OVERTAKEN_LIMIT) return INTERVAL_MS
      dueMs = Math.min(dueMs, resendAtMs)
    }
    return Number.isFinite(dueMs) ? Math.max(INTERVAL_MS, dueMs - nowMs) : undefined
  }

  #pushed({ number, timestamp, bytes }: Segment): void {
    const ahead = distance(number, this.#nextToArrive)
    if (ahead >= WINDOW_SEGMENTS) return
    // Repeats are acknowledged again: the first acknowledgement may have been lost.
    this.#acknowledgements.push({ number, timestamp })
    if (ahead < 0 || this.#early.has(number)) return
    this.#early.set(number, Uint8Array.from(bytes))
    this.#takeEarly()
  }

  #takeEarly(): void {
    while (this.#arrived.length < WINDOW_SEGMENTS) {
      const bytes = this.#early.get(this.#nextToArrive)
      if (!bytes) return
      this.#early.delete(this.#nextToArrive)
      this.#nextToArrive = (this.#nextToArrive + 1) >>> 0
      if (bytes.length > 0) this.#arrived.push(bytes)
    }
  }

  #acknowledged({ number, timestamp }: Segment, nowMs: number): void {
    const tripMs = distance(Math.trunc(nowMs), timestamp)
    if (this.#inFlight.has(number) && tripMs >= 0) this.#roundTrip.measured(tripMs)
    this.#arrivedThere(number)
    this.#advance()
  }

  #acknowledgedBefore(unacknowledged: number): void {
    if (distance(unacknowledged, this.#nextToSend) > 0) return
    for (const number of this.#inFlight.keys()) {
      if (distance(number, unacknowledged) >= 0) break
      this.#arrivedThere(number)
    }
    this.#advance()
  }

  #arrivedThere(number: number): void {
    if (!this.#inFlight.delete(number)) return
    this.#congestionWindow = Math.min(WINDOW_SEGMENTS, this.#congestionWindow + 1)
  }

  #advance(): void {
    const [oldest] = this.#inFlight.keys()
    this.#firstInFlight = oldest ?? this.#nextToSend
  }

  #overtakenBy(highest: number): void {
    for (const segment of this.#inFlight.values()) {
      if (distance(segment.number, highest) >= 0) return
      segment.overtaken++
    }
  }

  #hasRoom(): boolean {
    const window = Math.min(this.#congestionWindow, this.#remoteWindow)
    return distance(this.#nextToSend, this.#firstInFlight) < window
  }

  #fillWindow(nowMs: number): void {
    while (this.#queue.length > 0 && this.#hasRoom()) {
      const bytes = this.#queue.shift() as Uint8Array
      const number = this.#nextToSend
      this.#nextToSend = (number + 1) >>> 0
      const waitMs = this.#roundTrip.waitMs
      this.#inFlight.set(number, { number, bytes, resendAtMs: nowMs, waitMs, transmissions: 0, overtaken: 0 })
    }
  }

  #transmit(segment: InFlight, nowMs: number): void {
    if (segment.transmissions > 0) this.#slowDown(segment.number)
    if (segment.transmissions === 0) segment.waitMs = this.#roundTrip.waitMs
    else if (nowMs >= segment.resendAtMs) segment.waitMs = Math.min(LONGEST_RESEND_MS, 1.5 * segment.waitMs)
    segment.transmissions++
    segment.overtaken = 0
    segment.resendAtMs = nowMs + segment.waitMs
    this.#put(COMMANDS.push, segment.number, Math.trunc(nowMs) >>> 0, segment.bytes)
  }

  /** Once for what was in flight when a segment was lost. */
  #slowDown(lost: number): void {
    if (distance(lost, this.#slowedAt) < 0) return
    this.#slowedAt = this.#nextToSend
    this.#congestionWindow = Math.max(SMALLEST_CONGESTION_WINDOW, this.#congestionWindow >> 1)
  }

  /** Asks a side that can take nothing whether it can now: its word that it can may have been lost. */
  #probe(nowMs: number): void {
    if (this.#remoteWindow > 0) {
      this.#probeAtMs = undefined
      this.#probeWaitMs = FIRST_PROBE_MS
    } else if (this.#probeAtMs === undefined) this.#probeAtMs = nowMs + this.#probeWaitMs
    else if (nowMs >= this.#probeAtMs) {
      this.#put(COMMANDS.askWindow, 0, 0, NOTHING)
      this.#probeWaitMs = Math.min(LONGEST_PROBE_MS, this.#probeWaitMs * 1.5)
      this.#probeAtMs = nowMs + this.#probeWaitMs
    }
  }

  #put(command: number, number: number, timestamp: number, bytes: Uint8Array): void {
    if (this.#datagramLength + SEGMENT_HEADER_BYTES + bytes.length > DATAGRAM_BYTES) this.#putDatagram()
    this.#datagramLength = writeSegment(this.#datagram, this.#datagramLength, {
      ...{ conversation: this.conversation, command, number, timestamp, bytes },
      window: Math.max(0, WINDOW_SEGMENTS - this.#arrived.length),
      unacknowledged: this.#nextToArrive,
    })
  }

  #putDatagram(): void {
    if (this.#datagramLength === 0) return
    this.output(this.#datagram.subarray(0, this.#datagramLength))
    this.#datagramLength = 0
  }
}

const isDue = ({ transmissions, resendAtMs, overtaken }: InFlight, nowMs: number): boolean =>
  transmissions === 0 || nowMs >= resendAtMs || (overtaken >= OVERTAKEN_BY && transmissions <= OVERTAKEN_LIMIT)
