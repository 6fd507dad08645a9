import { connect, type Socket } from 'node:net'
import { encodeFrame, FrameDecoder } from '@tryst/protocol'
import { type Client, type Ending, Inbox } from './inbox.ts'

const MAX_FRAME_BYTES = 16 << 20

export interface Endpoint {
  readonly ip: string
  readonly port: number
}

/** A byte stream from a chosen address; frames are cut from it only when one is asked for. */
export class StreamClient extends Inbox {
  readonly #from: string
  readonly #server: Endpoint
  #socket: Socket | undefined
  #received: Uint8Array = new Uint8Array(0)
  #ending: Ending | undefined

  constructor(from: string, server: Endpoint) {
    super()
    this.#from = from
    this.#server = server
  }

  get address() {
    return { ip: this.#from, port: this.socket.localPort ?? 0 }
  }

  protected get socket(): Socket {
    if (!this.#socket) throw new Error('this client was never opened')
    return this.#socket
  }

  open(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const socket = connect({
      host: this.#server.ip,
      port: this.#server.port,
      localAddress: this.#from,
      noDelay: true,
      allowHalfOpen: true,
    })
    this.#socket = socket
    socket.once('connect', resolve)
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.changed()
    })
    socket.on('end', () => {
      this.#ending ??= 'end'
      this.changed()
    })
    socket.on('error', (error) => {
      reject(error)
      this.#ending ??= 'reset'
      this.changed()
    })
    return promise
  }

  sendBytes(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  takeBytes(length: number, timeoutMs: number): Promise<Uint8Array | undefined> {
    return this.take((received) => (received.length < length ? undefined : length), timeoutMs)
  }

  /** Waits until `measure` says how many bytes to take; in vain when the stream ends before. */
  protected async take(
    measure: (received: Uint8Array) => number | undefined,
    timeoutMs: number,
  ): Promise<Uint8Array | undefined> {
    const look = () => this.#takeReceived(measure) ?? (this.#ending ? 'nothing' : undefined)
    const taken = await this.until(look, timeoutMs)
    return taken === 'nothing' ? undefined : taken
  }

  #takeReceived(measure: (received: Uint8Array) => number | undefined): Uint8Array | undefined {
    const length = measure(this.#received)
    if (length === undefined) return undefined
    const taken = this.#received.subarray(0, length)
    this.#received = this.#received.subarray(length)
    return taken
  }

  pending(): string | undefined {
    return this.#received.length > 0 ? `bytes ${Buffer.from(this.#received).toString('hex')}` : undefined
  }

  ended(timeoutMs: number): Promise<Ending | undefined> {
    return this.until(() => this.#ending, timeoutMs)
  }

  shutdownWriting(): void {
    this.socket.end()
  }

  close(): void {
    this.#socket?.destroy()
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }
}

/** A client that speaks frames. */
export class TcpClient extends StreamClient implements Client {
  send(payload: Uint8Array): void {
    this.sendBytes(encodeFrame(payload))
  }

  async takeMessage(timeoutMs: number): Promise<Uint8Array | undefined> {
    let payload: Uint8Array | undefined
    const measure = (received: Uint8Array) => {
      const rest = new FrameDecoder(MAX_FRAME_BYTES).push(received, (each) => {
        payload = Uint8Array.from(each)
        return false
      })
      return rest && received.length - rest.length
    }
    await this.take(measure, timeoutMs)
    return payload
  }
}
