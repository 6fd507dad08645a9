import { createServer, type Server, type Socket } from 'node:net'
import { type Endpoint, encodeFrame, FrameDecoder, normaliseIp, ProtocolError } from '@tryst/protocol'
import { AwaitedHeaders, type AwaitedHeadersOptions } from './awaited-headers.ts'
import { IdleWatch } from './idle-watch.ts'
import { type KeyOffers, OFFER_AFTER_MS, OFFER_CHECK_EVERY_MS, type SecureChannel, type Silent } from './key-offers.ts'
import { type ListenPlace, listenPerFamily, portOf } from './listen-everywhere.ts'

/** What becomes of the connections of a listener whose messages have frames. */
export interface FramedTcpHandler {
  /** A connection was accepted; false refuses it, without a call of `onClose`. */
  onOpen(connection: FramedTcpConnection): boolean
  /** One whole payload. */
  onMessage(connection: FramedTcpConnection, payload: Uint8Array): void
  /** The connection is gone; called once for each that `onOpen` took. */
  onClose(connection: FramedTcpConnection): void
}

export interface FramedTcpOptions extends ListenPlace {
  /** A larger frame ends the connection when its header has arrived. */
  readonly maxFrameBytes: number
  /** Until the first whole message, however slowly it trickles. */
  readonly firstMessageTimeoutMs: number
  /** Without a whole message after the first. */
  readonly idleTimeoutMs: number
  readonly handler: FramedTcpHandler
  /** Takes a connection over before anything is read from it, when it returns true. */
  readonly divert?: (socket: Socket, ip: string) => boolean
  /** Encryption for clients that wait for the server to speak first. Not there: it never does. */
  readonly keyOffers?: KeyOffers | undefined
  /** Where proxies tell whose connections theirs are. Those are not diverted. */
  readonly headers?: AwaitedHeadersOptions | undefined
  /** An error of the listener while it runs. */
  readonly onError: (error: Error) => void
}

/** What a connection needs of its listener. */
interface Surroundings {
  readonly handler: FramedTcpHandler
  readonly maxFrameBytes: number
  /** Those that have sent a message, and those that have not. */
  readonly active: IdleWatch<FramedTcpConnection>
  readonly fresh: IdleWatch<FramedTcpConnection>
  /** Those that may yet be offered encryption. */
  readonly silent: IdleWatch<FramedTcpConnection> | undefined
}

/** Which connection a socket belongs to: one function serves the events of all sockets. */
const CONNECTION = Symbol('framed connection')
type SocketOfConnection = Socket & { [CONNECTION]: FramedTcpConnection }

/** A connection that carries frames, seen as whole messages. */
export class FramedTcpConnection implements Silent {
  readonly transport = 'tcp'
  readonly remote: Endpoint
  readonly #socket: Socket
  readonly #around: Surroundings
  readonly #decoder: FrameDecoder
  #hasSpoken = false
  #hasSent = false
  /** What became of the offer of encryption; most connections get none. */
  #channel: SecureChannel | undefined

  constructor(socket: Socket, remote: Endpoint, around: Surroundings) {
    this.#socket = socket
    this.#around = around
    this.remote = remote
    this.#decoder = new FrameDecoder(around.maxFrameBytes)
    const watch = around.silent ?? around.fresh
    watch.touch(this)
    ;(socket as SocketOfConnection)[CONNECTION] = this
    socket.on('data', passData)
    // A client that ends its connection with a reset has nothing more to say; 'close' follows.
    socket.on('error', ignoreReset)
    socket.on('end', closeConnection)
    socket.on('close', passClose)
  }

  get isClosed(): boolean {
    return !this.#socket.writable
  }

  /** The client has taken the server's key. */
  get isEncrypted(): boolean {
    return this.#channel?.isEncrypted ?? false
  }

  send(payload: Uint8Array): void {
    const socket = this.#socket
    if (!socket.writable) return
    // The first answer leaves at once anyway, and most connections get only one.
    if (this.#hasSent) socket.setNoDelay(true)
    this.#hasSent = true
    socket.write(encodeFrame(this.#channel ? this.#channel.seal(payload) : payload))
  }

  /** Speaks first, where the client waits for that. */
  offer(message: Uint8Array, channel: SecureChannel): boolean {
    if (this.#hasSpoken || !this.#decoder.isIdle || this.isClosed) return false
    this.send(message)
    this.#channel = channel
    return true
  }

  /** Ends the connection after what was sent has left. */
  close(): void {
    const socket = this.#socket
    // Nothing is on its way, or the kernel has it: shutting down first would only cost time.
    if (!this.#hasSent || (socket.writableLength === 0 && socket.readableEnded)) socket.destroy()
    else socket.destroySoon()
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** Bytes as they arrive. */
  receive(chunk: Uint8Array): void {
    // Whoever does not read its last answer must not stay by going on to send.
    if (!this.#socket.writable) return
    try {
      this.#decoder.push(chunk, this.#onPayload)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.destroy()
    }
  }

  /** One whole payload; false when the connection has ended and the rest is of no use. */
  readonly #onPayload = (payload: Uint8Array): boolean => {
    const { active, handler } = this.#around
    const message = this.#channel ? this.#channel.open(payload) : payload
    // The answer to the offer is no message yet: whoever sends only that is not waited for any longer.
    if (!message) return true
    this.#hasSpoken = true
    active.touch(this)
    handler.onMessage(this, message)
    return this.#socket.writable
  }

  /** The socket is gone. */
  closed(): void {
    const { active, fresh, silent, handler } = this.#around
    this.#channel?.ended()
    if (active.drop(this) || fresh.drop(this) || silent?.drop(this)) handler.onClose(this)
  }

  /** Refused: nobody has to be told when it is gone. */
  refuse(): void {
    const { fresh, silent } = this.#around
    const watch = silent ?? fresh
    watch.drop(this)
    this.destroy()
  }
}

const ignoreReset = () => undefined

function closeConnection(this: Socket): void {
  ;(this as SocketOfConnection)[CONNECTION].close()
}

function passData(this: Socket, chunk: Uint8Array): void {
  ;(this as SocketOfConnection)[CONNECTION].receive(chunk)
}

function passClose(this: Socket): void {
  ;(this as SocketOfConnection)[CONNECTION].closed()
}

/** A TCP listener whose connections carry frames (docs/protocol.md, framing). */
export class FramedTcpListener {
  readonly #around: Surroundings
  readonly #headers: AwaitedHeaders | undefined

  #servers: readonly Server[] = []

  private constructor(options: FramedTcpOptions) {
    const { handler, maxFrameBytes, idleTimeoutMs, firstMessageTimeoutMs, headers, keyOffers } = options
    this.#headers = headers && new AwaitedHeaders(headers)
    const active = new IdleWatch<FramedTcpConnection>(idleTimeoutMs, destroyIdle)
    const fresh = new IdleWatch<FramedTcpConnection>(firstMessageTimeoutMs, destroyIdle)
    const offer = (connection: FramedTcpConnection) => {
      fresh.touch(connection)
      keyOffers?.offerTo(connection)
    }
    const silent = keyOffers && new IdleWatch<FramedTcpConnection>(OFFER_AFTER_MS, offer, OFFER_CHECK_EVERY_MS)
    this.#around = { handler, maxFrameBytes, active, fresh, silent }
  }

  /** @throws the listen error of Node */
  static async open(options: FramedTcpOptions): Promise<FramedTcpListener> {
    const listener = new FramedTcpListener(options)
    // Half open, since we end connections ourselves: Node's own way takes a shutdown more.
    const create = () => createServer({ allowHalfOpen: true }, (socket) => listener.#accept(socket, options))
    listener.#servers = await listenPerFamily(create, options)
    for (const server of listener.#servers) server.on('error', options.onError)
    return listener
  }

  get port(): number {
    return this.#servers[0] ? portOf(this.#servers[0]) : 0
  }

  /** Ends everything. May be called twice. */
  async close(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())))
    const { active, fresh, silent } = this.#around
    for (const connection of [...active.all, ...fresh.all, ...(silent?.all ?? [])]) connection.close()
    this.#headers?.close()
    await Promise.all(closed)
    active.close()
    fresh.close()
    silent?.close()
  }

  #accept(socket: Socket, options: FramedTcpOptions): void {
    const { remoteAddress } = socket
    // The client may have gone before it was accepted.
    if (remoteAddress === undefined) {
      socket.destroy()
      return
    }
    const ip = normaliseIp(remoteAddress)
    const remote = { ip, port: socket.remotePort ?? 0 }
    if (this.#headers?.isExpectedFrom(ip)) return this.#awaitHeader(socket, remote, this.#headers)
    if (options.divert?.(socket, ip)) return
    this.#serve(socket, remote)
  }

  #awaitHeader(socket: Socket, proxy: Endpoint, headers: AwaitedHeaders): void {
    const awaited = headers.await(socket, proxy)
    const take = (bytes: Buffer) => {
      const introduction = awaited.take(bytes)
      if (!introduction) return
      socket.off('data', take)
      this.#serve(socket, introduction.remote)?.receive(introduction.rest)
    }
    socket.on('data', take)
  }

  /** Undefined when it was refused. */
  #serve(socket: Socket, remote: Endpoint): FramedTcpConnection | undefined {
    const connection = new FramedTcpConnection(socket, remote, this.#around)
    if (this.#around.handler.onOpen(connection)) return connection
    connection.refuse()
    return undefined
  }
}

const destroyIdle = (connection: FramedTcpConnection) => connection.destroy()
