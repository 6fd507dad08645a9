import { encodeFrame, FrameDecoder, ProtocolError } from '@tryst/protocol'
import type { Timer } from './clock.ts'
import type { ArrivalEnd } from './events.ts'
import type { HalfListener, RelayHalf } from './relay-half.ts'
import type { HalfRole } from './relay-request.ts'

/** What a half that waits may send ahead; beyond that it is read no further until its partner has come. */
const EARLY_BYTES = 64 * 1024
/** A piece costs so much at least, however few bytes it has: whoever sends them one by one would take much for little. */
const PIECE_BYTES = 192

/** What an arrival asks of the relay. */
export interface Reception {
  readonly firstMessageMaxBytes: number
  /**
   * The first message has come. The relay answers by letting the arrival wait, by pairing it, or by turning it away.
   */
  firstMessage(arrival: Arrival, payload: Uint8Array): void
  /** The connection ended, or broke the rules, before it was paired. */
  lost(arrival: Arrival, reason: ArrivalEnd): void
}

type Stage = 'first_message' | 'waiting' | 'paired' | 'over'

/** A connection from its first byte until it is half of a pair or turned away. */
export class Arrival implements HalfListener {
  readonly half: RelayHalf
  readonly source: string
  readonly #reception: Reception
  #frames: FrameDecoder | undefined
  #stage: Stage = 'first_message'
  /** What came behind the first message: the device speaks without waiting for its partner. */
  #early: Uint8Array[] = []
  /** The frame of the first message of a TCP connection. */
  #firstFrame: Uint8Array | undefined
  #earlyBytes = 0
  #isPaused = false
  #pairedListener: (HalfListener & { readonly isReading: boolean }) | undefined
  timer: Timer | undefined
  /** Name of the session, once the first message has told it. */
  uuid = ''
  role: HalfRole = 'device'
  /** The device that it names; empty where it names none. */
  device = ''
  /** What a broker knows it by; empty without one. */
  name = ''
  /** The device that the session was introduced for; undefined where no ticket was asked for. */
  ticketDevice: string | undefined

  constructor(half: RelayHalf, reception: Reception) {
    this.half = half
    this.source = half.source
    this.#reception = reception
    if (half.transport === 'tcp') this.#frames = new FrameDecoder(reception.firstMessageMaxBytes)
    half.listen(this)
  }

  get hasFirstMessage(): boolean {
    return this.#stage !== 'first_message'
  }

  /** It has gone, or was turned away. */
  get isOver(): boolean {
    return this.#stage === 'over'
  }

  /** What has been read of a TCP connection that waits, from its first byte on. */
  get stream(): Uint8Array {
    return concatBytes(this.#firstFrame ? [this.#firstFrame, ...this.#early] : this.#early)
  }

  onBytes(bytes: Uint8Array): boolean {
    if (this.#stage === 'over') return true
    if (this.#stage === 'waiting') return this.#keep(bytes)
    const rest = this.#readFirstMessage(bytes)
    if (rest && rest.length > 0) this.#keep(rest)
    if (this.#pairedListener) return this.#replayTo(this.#pairedListener)
    return !this.#isPaused
  }

  onActivity(): void {
    // Anything else than a request as first message ends the connection, a ping too.
    if (this.#stage === 'first_message') this.#lose('not_a_request')
  }

  onDrain(): void {}

  onOversized(): void {
    this.#lose('first_message_too_large')
  }

  onEnd(): void {
    this.#lose('left')
  }

  onClose(): void {
    this.#lose('left')
  }

  /** From now on what arrives is kept for the partner. */
  wait(): void {
    this.#stage = 'waiting'
  }

  /** Hands what has come early to the direction that starts here; it listens to the half from now on. */
  handOver(listener: HalfListener & { readonly isReading: boolean }): void {
    const wasWaiting = this.#stage === 'waiting'
    this.#firstFrame = undefined
    this.#stage = 'paired'
    this.timer?.cancel()
    if (!wasWaiting) {
      // Called from within onBytes, which goes on with what lies behind the first message.
      this.#pairedListener = listener
      return
    }
    const mayRead = this.#replayTo(listener)
    if (this.#isPaused && mayRead) this.half.resume()
  }

  /** Ends the connection without a word: the relay never says anything of its own. */
  turnAway(): void {
    this.leave()
    this.half.close()
  }

  /** The connection is somebody else's from now on. */
  leave(): void {
    this.#stage = 'over'
    this.#early = []
    this.#firstFrame = undefined
    this.timer?.cancel()
  }

  #readFirstMessage(bytes: Uint8Array): Uint8Array | undefined {
    const frames = this.#frames
    if (!frames) {
      this.#reception.firstMessage(this, bytes)
      return undefined
    }
    try {
      return frames.push(bytes, (payload) => {
        this.#frames = undefined
        this.#firstFrame = encodeFrame(payload)
        this.#reception.firstMessage(this, payload)
        return false
      })
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#lose('first_message_too_large')
      return undefined
    }
  }

  #keep(bytes: Uint8Array): boolean {
    if (this.#stage === 'over') return true
    // The buffer is used again. A copy for sure: slice() of Node's Buffer, which this may be, copies nothing.
    this.#early.push(new Uint8Array(bytes))
    this.#earlyBytes += Math.max(bytes.length, PIECE_BYTES)
    this.#isPaused = this.#earlyBytes >= EARLY_BYTES
    return !this.#isPaused
  }

  #replayTo(listener: HalfListener & { readonly isReading: boolean }): boolean {
    const early = this.#early
    this.#early = []
    for (const bytes of early) listener.onBytes(bytes)
    return listener.isReading
  }

  #lose(reason: ArrivalEnd): void {
    if (this.#stage === 'over' || this.#stage === 'paired') return
    this.#reception.lost(this, reason)
  }
}

function concatBytes(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}
