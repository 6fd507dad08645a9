import type { Socket } from 'node:net'
import { type Endpoint, frameHeader } from '@tryst/protocol'
import type { HalfListener, RelayHalf } from '@tryst/relay'
import type { HalfGuard } from './half-guard.ts'
import { NOBODY } from './nobody.ts'
import type { ReadListener } from './pooled-reader.ts'
import type { ReadSocket, SocketHandle, SocketReading } from './socket-reading.ts'
import { closeSoftly } from './soft-close.ts'

/** Which half a socket belongs to: one function serves the events of all sockets. */
const HALF = Symbol('relay half')
type SocketOfHalf = Socket & { [HALF]: TcpHalf }

/** One side of a relay session over TCP. */
export class TcpHalf implements RelayHalf {
  readonly transport = 'tcp'
  readonly remote: Endpoint
  readonly source: string
  readonly #read: ReadSocket
  readonly #socket: Socket
  readonly #guard: HalfGuard
  #listener: HalfListener = NOBODY
  readonly #wasGiven: boolean
  #isClosing = false

  /** @param read what is read from the socket goes to the given listener */
  constructor(
    read: (listener: ReadListener) => ReadSocket,
    options: {
      readonly remote: Endpoint
      readonly source: string
      readonly guard: HalfGuard
      /** It was given away once; that is enough. */
      readonly wasGiven?: boolean
    },
  ) {
    this.remote = options.remote
    this.source = options.source
    this.#guard = options.guard
    this.#wasGiven = options.wasGiven ?? false
    this.#read = read((bytes) => this.#listener.onBytes(bytes))
    this.#socket = this.#read.socket
    const socket = this.#socket as SocketOfHalf
    socket[HALF] = this
    socket.on('error', ignoreReset)
    socket.on('drain', passDrain)
    socket.on('end', passEnd)
    socket.on('close', passClose)
  }

  get reading(): SocketReading {
    return this.#read.reading
  }

  get hasUnsent(): boolean {
    return this.#socket.writableLength > 0
  }

  get unsentBytes(): number {
    return this.#read.unsentBytes()
  }

  listen(listener: HalfListener): void {
    if (!this.#isClosing) this.#listener = listener
  }

  prove(): void {
    this.#guard.prove(this)
  }

  writeBytes(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes)
  }

  writeMessage(payload: Uint8Array): void {
    const socket = this.#socket
    if (!socket.writable) return
    socket.cork()
    socket.write(frameHeader(payload.length))
    socket.write(payload)
    socket.uncork()
  }

  limitReads(bytes: number): void {
    this.#read.limitReads(bytes)
  }

  resume(): void {
    if (!this.#isClosing) this.#read.resume()
  }

  end(): void {
    this.#socket.end()
  }

  close(): void {
    if (this.#isClosing) return
    this.#isClosing = true
    // Goes on reading, unless the listener said no: then what was read may still be on its way to the partner.
    this.#listener = NOBODY
    closeSoftly(this.#socket)
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /**
   * Gives the connection away: nothing more is read or told, until `destroy` ends this process' share in it. Undefined: it
   * stays what it is.
   */
  release(): SocketHandle | undefined {
    if (this.#isClosing || this.#wasGiven) return undefined
    const handle = this.#read.release()
    if (!handle) return undefined
    this.#isClosing = true
    this.#listener = NOBODY
    return handle
  }

  /** Plays what was read of the connection before it came here, as if it arrived now. */
  replay(bytes: Uint8Array): void {
    if (!this.#listener.onBytes(bytes)) this.#socket.pause()
  }

  drained(): void {
    this.#listener.onDrain()
  }

  ended(): void {
    this.#listener.onEnd()
  }

  closed(): void {
    this.#guard.remove(this)
    this.#listener.onClose()
  }
}

/** 'close' follows and says all there is to say. */
const ignoreReset = () => undefined

function passDrain(this: Socket): void {
  ;(this as SocketOfHalf)[HALF].drained()
}

function passEnd(this: Socket): void {
  ;(this as SocketOfHalf)[HALF].ended()
}

function passClose(this: Socket): void {
  ;(this as SocketOfHalf)[HALF].closed()
}
