import type { CancelTimer, Clock } from '../clock.ts'
import { randomBytes } from '../random.ts'
import { FLAGS, type Packet, readPacket, writePacket } from './packet.ts'
import { MANY_ACKNOWLEDGEMENTS, ReliableStream, WINDOW_SEGMENTS } from './reliable-stream.ts'

/** Who begins: the side that connects draws the conversation's number. */
export type KcpRole = 'connect' | 'accept'

/** Why a connection is over: the other side ended it in order or cut it off, it fell silent, or we gave it up. */
export type KcpEnd = 'ended' | 'reset' | 'silent' | 'given up'

export interface KcpEvents {
  established(): void
  /** There is something to `read()`. */
  readable(): void
  /** `write()` takes more. */
  writable(): void
  /** The other side sends nothing more; what has arrived can still be read. */
  peerEnded(): void
  /** Nothing is sent or taken any more. */
  over(end: KcpEnd): void
}

/** Handshake datagrams are repeated after this time. Stock clients of some versions don't, and need none of ours lost. */
const REPEAT_MS = 500
const PING_INTERVAL_MS = 10_000
const SILENCE_LIMIT_MS = 60_000
/** The last datagram of a connection is acknowledged by the other side's last one, for which we wait so long. */
const FIN_REPEATS = 3
const FIN_REPEAT_MS = 100

type State = 'connecting' | 'listening' | 'accepting' | 'established' | 'ending' | 'over'

const NOTHING = new Uint8Array(0)

/**
 * A stream over datagrams between two peers, as stock clients open and close it around KCP (docs/protocol.md, streams
 * over UDP). The owner brings datagrams in and takes them out.
 */
export class KcpConnection {
  #state: State
  #conversation = 0
  #stream: ReliableStream | undefined
  #lastHeardMs: number
  #hasPeerEnded = false
  #finsLeft = FIN_REPEATS
  #wasFull = false
  #cancelFlush: CancelTimer | undefined
  #flushAtMs = 0
  #cancelRepeat: CancelTimer | undefined
  #cancelPing: CancelTimer | undefined
  readonly #beganMs: number

  constructor(
    role: KcpRole,
    private readonly clock: Clock,
    private readonly output: (datagram: Uint8Array) => void,
    private readonly events: KcpEvents,
  ) {
    this.#beganMs = clock.now()
    this.#lastHeardMs = this.#beganMs
    this.#state = role === 'connect' ? 'connecting' : 'listening'
    if (role === 'accept') return
    this.#begin(new DataView(randomBytes(4).buffer).getUint32(0))
    this.#repeat(REPEAT_MS, () => this.#send(FLAGS.syn))
    this.#ping()
  }

  /** Everything that was written has arrived at the other side. */
  get isDelivered(): boolean {
    return (this.#stream?.unacknowledged ?? 0) === 0
  }

  /** Much waits to be sent. */
  get isFull(): boolean {
    return this.#wasFull
  }

  /** False: wait for `writable` before writing much more. */
  write(bytes: Uint8Array): boolean {
    if (this.#state === 'over' || this.#state === 'ending') return true
    this.#stream?.write(bytes)
    this.#flush()
    this.#wasFull ||= (this.#stream?.unacknowledged ?? 0) > WINDOW_SEGMENTS
    return !this.#wasFull
  }

  read(): Uint8Array | undefined {
    const bytes = this.#stream?.read()
    if (bytes) this.#scheduleFlush()
    return bytes
  }

  /** A datagram of the other side. */
  input(datagram: Uint8Array): void {
    const packet = readPacket(datagram)
    if (!packet || this.#state === 'over') return
    if (this.#state === 'listening') {
      if (packet.flags !== FLAGS.syn) return
      this.#begin(packet.conversation)
      this.#state = 'accepting'
      this.#repeat(REPEAT_MS, () => this.#send(FLAGS.syn | FLAGS.ack))
      return
    }
    if (packet.conversation !== this.#conversation) return
    this.#lastHeardMs = this.clock.now()
    if (packet.flags & FLAGS.ping) this.#pinged(packet.flags)
    else this.#handle(packet)
  }

  /** Sends what was written, then ends the connection in order; `over` follows. */
  end(): void {
    if (this.#state === 'over' || this.#state === 'ending') return
    if (this.#state !== 'established') return this.#over('given up')
    this.#state = 'ending'
    this.#endWhenDelivered()
  }

  /** Ends the connection at once, without a word. */
  giveUp(): void {
    this.#over('given up')
  }

  #begin(conversation: number): void {
    this.#conversation = conversation
    this.#stream = new ReliableStream(conversation, (bytes) => this.#send(FLAGS.data | FLAGS.ack, bytes))
  }

  #handle({ flags, bytes }: Packet): void {
    const isData = (flags & FLAGS.data) !== 0
    if (flags & FLAGS.reset) {
      // A peer that has not heard of the connection yet answers our ping so.
      if (this.#state !== 'connecting') this.#over('reset')
      return
    }
    if (flags & FLAGS.syn) return this.#shakeHands(flags)
    if (isData && this.#state === 'accepting') {
      this.#establish()
      // The recorded side that accepts begins its pings when it hears of the other's first.
      if (this.#cancelPing === undefined) this.#ping()
    }
    if (isData && bytes.length > 0) this.#take(bytes)
    if (flags & FLAGS.fin) this.#peerEnded()
  }

  #shakeHands(flags: number): void {
    if (!(flags & FLAGS.ack)) {
      // Our answer, or what came back on it, was lost.
      if (this.#state === 'accepting') this.#send(FLAGS.syn | FLAGS.ack)
      return
    }
    if (this.#state !== 'connecting' && this.#state !== 'established') return
    this.#send(FLAGS.data | FLAGS.ack)
    if (this.#state === 'connecting') this.#establish()
  }

  #establish(): void {
    this.#state = 'established'
    this.#cancelRepeat?.()
    this.events.established()
    this.#flush()
  }

  #take(bytes: Uint8Array): void {
    const stream = this.#stream
    if (!stream) return
    stream.input(bytes, this.#sinceBeginning())
    if (stream.owedAcknowledgements >= MANY_ACKNOWLEDGEMENTS) this.#flush()
    else this.#scheduleFlush()
    this.events.readable()
    if (this.#wasFull && stream.unacknowledged < WINDOW_SEGMENTS / 2) {
      this.#wasFull = false
      this.events.writable()
    }
    if (this.#state === 'ending') this.#endWhenDelivered()
  }

  #pinged(flags: number): void {
    if (flags & FLAGS.pong) return
    this.#send(FLAGS.ping | FLAGS.pong)
    if (this.#cancelPing === undefined) this.#ping()
  }

  #peerEnded(): void {
    if (this.#hasPeerEnded) return
    this.#hasPeerEnded = true
    if (this.#state === 'ending') return this.#over('ended')
    this.events.peerEnded()
  }

  #endWhenDelivered(): void {
    if (!this.isDelivered || this.#finsLeft < FIN_REPEATS) return
    const sendFin = () => {
      if (this.#finsLeft-- === 0) return this.#over('ended')
      this.#send(FLAGS.fin)
      // The other side has ended before: it waits for nothing.
      if (this.#hasPeerEnded) this.#over('ended')
    }
    this.#repeat(FIN_REPEAT_MS, sendFin)
  }

  #over(end: KcpEnd): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#cancelFlush?.()
    this.#cancelRepeat?.()
    this.#cancelPing?.()
    this.events.over(end)
  }

  #ping(): void {
    if (this.clock.now() - this.#lastHeardMs > SILENCE_LIMIT_MS) return this.#over('silent')
    this.#send(FLAGS.ping)
    this.#cancelPing = this.clock.after(PING_INTERVAL_MS, () => this.#ping())
  }

  /** Now and every `intervalMs` until the next state. */
  #repeat(intervalMs: number, action: () => void): void {
    this.#cancelRepeat?.()
    this.#cancelRepeat = this.clock.after(intervalMs, () => this.#repeat(intervalMs, action))
    action()
  }

  #send(flags: number, bytes: Uint8Array = NOTHING): void {
    this.output(writePacket({ conversation: this.#conversation, flags, bytes }))
  }

  #flush(): void {
    if (this.#state !== 'established' && this.#state !== 'ending') return
    this.#stream?.flush(this.#sinceBeginning())
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    this.#scheduleFlush()
  }

  #scheduleFlush(): void {
    if (this.#state === 'over') return
    const sinceMs = this.#sinceBeginning()
    const waitMs = this.#stream?.nextFlushMs(sinceMs)
    if (waitMs === undefined || (this.#cancelFlush && this.#flushAtMs <= sinceMs + waitMs)) return
    this.#cancelFlush?.()
    this.#flushAtMs = sinceMs + waitMs
    this.#cancelFlush = this.clock.after(waitMs, () => {
      this.#cancelFlush = undefined
      this.#flush()
    })
  }

  #sinceBeginning(): number {
    return this.clock.now() - this.#beganMs
  }
}
