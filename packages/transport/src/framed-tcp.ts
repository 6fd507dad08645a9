import { createServer, type Server, type Socket } from 'node:net'
import { type Endpoint, encodeFrame, FrameDecoder, normaliseIp, ProtocolError } from '@tryst/protocol'
import { listenEverywhere, portOf } from './listen-everywhere.ts'

/** What becomes of the connections of a listener whose messages have frames. */
export interface FramedTcpHandler {
  /** A connection was accepted; false refuses it. */
  onOpen(connection: FramedTcpConnection): boolean
  /** One whole payload, which may be a view of a buffer that is used again. */
  onMessage(connection: FramedTcpConnection, payload: Uint8Array): void
  /** The connection is gone; called once for each that `onOpen` took. */
  onClose(connection: FramedTcpConnection): void
}

export interface FramedTcpOptions {
  readonly port: number
  /** Listen on exactly this address; undefined: on all, of both families where there are two. */
  readonly bind: string | undefined
  /** A larger frame ends the connection when its header has arrived. */
  readonly maxFrameBytes: number
  /** Until the first whole message, however slowly it trickles. */
  readonly firstMessageTimeoutMs: number
  /** Without any bytes. */
  readonly idleTimeoutMs: number
  readonly handler: FramedTcpHandler
  /** Takes a connection over before anything is read from it, when it returns true. */
  readonly divert?: (socket: Socket, ip: string) => boolean
  /** An error of the listener while it runs. */
  readonly onError: (error: Error) => void
}

/** A connection that carries frames, seen as whole messages. */
export class FramedTcpConnection {
  readonly transport = 'tcp'
  readonly remote: Endpoint
  readonly #socket: Socket
  readonly #options: FramedTcpOptions
  readonly #decoder: FrameDecoder
  readonly #openedAt = performance.now()
  #hasSpoken = false

  constructor(socket: Socket, remote: Endpoint, options: FramedTcpOptions) {
    this.#socket = socket
    this.#options = options
    this.remote = remote
    this.#decoder = new FrameDecoder(options.maxFrameBytes)
  }

  send(payload: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(encodeFrame(payload))
  }

  /** Ends the connection after what was sent has left. */
  close(): void {
    const socket = this.#socket
    // With nothing sent, waiting for the other side would only cost a round of messages.
    if (socket.bytesWritten === 0) socket.destroy()
    else socket.destroySoon()
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** Bytes as they arrive. */
  receive(chunk: Uint8Array): void {
    // Trickling bytes restart Node's timer, but not the deadline of the first message.
    if (!this.#hasSpoken && performance.now() - this.#openedAt > this.#options.firstMessageTimeoutMs) {
      this.destroy()
      return
    }
    try {
      this.#decoder.push(chunk, this.#onPayload)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.destroy()
    }
  }

  readonly #onPayload = (payload: Uint8Array): boolean => {
    if (!this.#hasSpoken) {
      this.#hasSpoken = true
      const { idleTimeoutMs, firstMessageTimeoutMs } = this.#options
      if (idleTimeoutMs !== firstMessageTimeoutMs) this.#socket.setTimeout(idleTimeoutMs)
    }
    this.#options.handler.onMessage(this, payload)
    return !this.#socket.destroyed && this.#socket.writable
  }
}

/** A TCP listener whose connections carry frames (docs/protocol.md, framing). */
export class FramedTcpListener {
  readonly #connections = new Set<FramedTcpConnection>()

  private constructor(private readonly server: Server) {}

  /** @throws the listen error of Node */
  static async open(options: FramedTcpOptions): Promise<FramedTcpListener> {
    const server = createServer({ noDelay: true })
    const listener = new FramedTcpListener(server)
    server.on('connection', (socket) => listener.#accept(socket, options))
    await listenEverywhere(server, options.port, options.bind)
    server.on('error', options.onError)
    return listener
  }

  get port(): number {
    return portOf(this.server)
  }

  /** Ends everything. May be called twice. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    for (const connection of this.#connections) connection.close()
    await closed
  }

  #accept(socket: Socket, options: FramedTcpOptions): void {
    const { remoteAddress, remotePort } = socket
    // The client may have gone before it was accepted.
    if (remoteAddress === undefined) {
      socket.destroy()
      return
    }
    const ip = normaliseIp(remoteAddress)
    if (options.divert?.(socket, ip)) return
    const connection = new FramedTcpConnection(socket, { ip, port: remotePort ?? 0 }, options)
    if (!options.handler.onOpen(connection)) {
      socket.destroy()
      return
    }
    this.#connections.add(connection)
    socket.setTimeout(options.firstMessageTimeoutMs, () => connection.destroy())
    // A client that ends its connection with a reset has nothing more to say.
    socket.on('error', ignoreReset)
    socket.on('data', (chunk) => connection.receive(chunk))
    socket.on('close', () => {
      this.#connections.delete(connection)
      options.handler.onClose(connection)
    })
  }
}

const ignoreReset = () => undefined
