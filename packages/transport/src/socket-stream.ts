import type { Socket } from 'node:net'
import { type Endpoint, encodeFrame } from '@tryst/protocol'
import type { AcceptedStream, StreamOwner } from './accepted-stream.ts'
import { UnsentCount } from './unsent-count.ts'

/** Whose socket it is: one function serves the events of all sockets. */
const STREAM = Symbol('stream of a socket')
type OwnedSocket = Socket & { [STREAM]: SocketStream }

/** An accepted connection by documented means. */
export class SocketStream implements AcceptedStream {
  readonly accepting = 'portable'
  readonly remote: Endpoint
  owner: StreamOwner | undefined
  readonly #socket: Socket
  readonly #unsent: UnsentCount
  #framesSent = 0

  /** @param socket of a server with `allowHalfOpen` */
  constructor(socket: Socket, remote: Endpoint) {
    this.#socket = socket
    this.#unsent = new UnsentCount(socket)
    this.remote = remote
  }

  get isWritable(): boolean {
    return this.#socket.writable
  }

  get unsentBytes(): number {
    return this.#unsent.bytes
  }

  start(owner: StreamOwner): void {
    this.owner = owner
    const socket = this.#socket as OwnedSocket
    socket[STREAM] = this
    socket.on('data', passData)
    // A client that ends its connection with a reset has nothing more to say; 'close' follows.
    socket.on('error', ignoreReset)
    socket.on('end', passEnd)
    socket.on('close', passClose)
  }

  writeFrame(payload: Uint8Array): void {
    // The first answer leaves at once anyway, and most connections get only one.
    if (++this.#framesSent === 2) this.#socket.setNoDelay(true)
    this.#socket.write(encodeFrame(payload))
    this.#unsent.wrote()
  }

  finish(): void {
    const socket = this.#socket
    // Nothing is on its way, or the kernel has it: shutting down first would only cost time.
    if (this.#framesSent === 0 || (socket.writableLength === 0 && socket.readableEnded)) socket.destroy()
    else socket.destroySoon()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

const ignoreReset = () => undefined

function passData(this: Socket, chunk: Uint8Array): void {
  ;(this as OwnedSocket)[STREAM].owner?.received(chunk)
}

function passEnd(this: Socket): void {
  ;(this as OwnedSocket)[STREAM].owner?.ended()
}

function passClose(this: Socket): void {
  ;(this as OwnedSocket)[STREAM].owner?.closed()
}
