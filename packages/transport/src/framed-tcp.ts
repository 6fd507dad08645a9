import { createServer, type Server, type Socket } from 'node:net'
import { type Endpoint, FrameDecoder, normaliseIp, ProtocolError } from '@tryst/protocol'
import { acceptStreams } from './accept-streams.ts'
import type { AcceptedStream, Accepting, StreamOwner } from './accepted-stream.ts'
import { AwaitedHeaders, type AwaitedHeadersOptions } from './awaited-headers.ts'
import { IdleWatch } from './idle-watch.ts'
import { type KeyOffers, OFFER_AFTER_MS, OFFER_CHECK_EVERY_MS, type SecureChannel, type Silent } from './key-offers.ts'
import { type ListenPlace, listenPerFamily, portOf } from './listen-everywhere.ts'
import { SocketStream } from './socket-stream.ts'

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
  /** Default `raw`; `portable` for those whose connections are diverted or begin with a header. */
  readonly accepting?: Accepting | undefined
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
  /** Those that may be idle. */
  readonly kept: Set<FramedTcpConnection>
}

/** Answers of one connection that wait for a client which does not read; with more it is ended. */
const MAX_UNSENT_BYTES = 256 * 1024

/** A connection that carries frames, seen as whole messages. */
export class FramedTcpConnection implements Silent, StreamOwner {
  readonly transport = 'tcp'
  readonly remote: Endpoint
  readonly #stream: AcceptedStream
  readonly #around: Surroundings
  readonly #decoder: FrameDecoder
  #hasSpoken = false
  #isKept = false
  /** What became of the offer of encryption; most connections get none. */
  #channel: SecureChannel | undefined

  constructor(stream: AcceptedStream, around: Surroundings) {
    this.#stream = stream
    this.#around = around
    this.remote = stream.remote
    this.#decoder = new FrameDecoder(around.maxFrameBytes)
    const watch = around.silent ?? around.fresh
    watch.touch(this)
    stream.start(this)
  }

  get isClosed(): boolean {
    return !this.#stream.isWritable
  }

  /** The client has taken the server's key. */
  get isEncrypted(): boolean {
    return this.#channel?.isEncrypted ?? false
  }

  get unsentBytes(): number {
    return this.#stream.unsentBytes
  }

  send(payload: Uint8Array): void {
    const stream = this.#stream
    if (!stream.isWritable) return
    if (stream.unsentBytes > MAX_UNSENT_BYTES) return this.destroy()
    stream.writeFrame(this.#channel ? this.#channel.seal(payload) : payload)
  }

  /** Speaks first, where the client waits for that. */
  offer(message: Uint8Array, channel: SecureChannel): boolean {
    if (this.#hasSpoken || !this.#decoder.isIdle || this.isClosed) return false
    this.send(message)
    this.#channel = channel
    return true
  }

  /** It may be idle from now on. May be called twice. */
  keep(): void {
    const { active, fresh, kept } = this.#around
    if (!active.drop(this) && !fresh.drop(this)) return
    this.#isKept = true
    kept.add(this)
  }

  /** Ends the connection after what was sent has left. */
  close(): void {
    this.#stream.finish()
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#stream.destroy()
  }

  /** Bytes as they arrive. */
  received(chunk: Uint8Array): void {
    // Whoever does not read its last answer must not stay by going on to send.
    if (!this.#stream.isWritable) return
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
    if (!this.#isKept) active.touch(this)
    handler.onMessage(this, message)
    return this.#stream.isWritable
  }

  /** The client sends no more. */
  ended(): void {
    this.close()
  }

  /** The stream is gone. */
  closed(): void {
    const { active, fresh, silent, kept, handler } = this.#around
    this.#channel?.ended()
    if (active.drop(this) || fresh.drop(this) || silent?.drop(this) || kept.delete(this)) handler.onClose(this)
  }

  /** Refused: nobody has to be told when it is gone. */
  refuse(): void {
    const { fresh, silent } = this.#around
    const watch = silent ?? fresh
    watch.drop(this)
    this.destroy()
  }
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
    this.#around = { handler, maxFrameBytes, active, fresh, silent, kept: new Set() }
  }

  /** @throws the listen error of Node */
  static async open(options: FramedTcpOptions): Promise<FramedTcpListener> {
    const listener = new FramedTcpListener(options)
    // Half open, since we end connections ourselves: Node's own way takes a shutdown more.
    const create = () => {
      const server = createServer({ allowHalfOpen: true })
      const { headers, divert, accepting = 'raw' } = options
      if (headers || divert) server.on('connection', (socket) => listener.#accept(socket, options))
      else acceptStreams(server, accepting, (stream) => listener.#serve(stream))
      return server
    }
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
    const { active, fresh, silent, kept } = this.#around
    for (const connection of [...active.all, ...fresh.all, ...(silent?.all ?? []), ...kept]) connection.close()
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
    this.#serve(new SocketStream(socket, remote))
  }

  #awaitHeader(socket: Socket, proxy: Endpoint, headers: AwaitedHeaders): void {
    const awaited = headers.await(socket, proxy)
    const take = (bytes: Buffer) => {
      const introduction = awaited.take(bytes)
      if (!introduction) return
      socket.off('data', take)
      this.#serve(new SocketStream(socket, introduction.remote))?.received(introduction.rest)
    }
    socket.on('data', take)
  }

  /** Undefined when it was refused. */
  #serve(stream: AcceptedStream): FramedTcpConnection | undefined {
    const connection = new FramedTcpConnection(stream, this.#around)
    if (this.#around.handler.onOpen(connection)) return connection
    connection.refuse()
    return undefined
  }
}

const destroyIdle = (connection: FramedTcpConnection) => connection.destroy()
