import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { type Endpoint, normaliseIp } from '@tryst/protocol'
import { type WebSocket, WebSocketServer } from 'ws'
import { ConnectionGuard, type Displaceable } from './connection-guard.ts'
import { forwardedEndpoint } from './forwarded-address.ts'
import { type ListenPlace, listenEverywhere, portOf } from './listen-everywhere.ts'
import { addressMatcher } from './trusted-addresses.ts'

export interface WebSocketUpgradesOptions extends ListenPlace {
  /** Until the end of the upgrade, however slowly it trickles. */
  readonly upgradeTimeoutMs: number
  /** A longer message ends the connection when its header has arrived. */
  readonly maxMessageBytes: number
  /** Networks of the reverse proxies whose word about the client's address is taken. */
  readonly trustedProxies: readonly string[]
  /** Whether connections from this address are closed before anything is read from them. */
  readonly refuses: (ip: string) => boolean
  readonly onUpgraded: (upgraded: Upgraded) => void
  /** An error of the listener while it runs. */
  readonly onError: (error: Error) => void
}

/** A WebSocket whose client has just been let in. */
export interface Upgraded {
  readonly webSocket: WebSocket
  readonly socket: Socket
  /** The client's address, from a trusted proxy's header where there is one. */
  readonly remote: Endpoint
  /** Milliseconds since it was accepted. */
  readonly ageMs: number
  /** Another process has accepted it. */
  readonly wasGiven: boolean
}

/** Any will do: the client was answered by the process that has accepted it. */
const HANDSHAKE = {
  method: 'GET',
  headers: {
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  },
} as IncomingMessage

// An import of node:http reads all its exports, one of which loads Node's whole fetch: 13 MiB that nobody uses here.
const { createServer } = process.getBuiltinModule('node:http')

/** Connections that have not been upgraded yet: nobody knows whether they are clients. */
const PENDING_LIMITS = { perSource: 200, total: 2_000 }

/** What a client's HTTP head may take; a proxy adds some headers. */
const MAX_HEAD_BYTES = 8 * 1024

class Pending implements Displaceable {
  readonly acceptedAt = performance.now()

  constructor(
    readonly socket: Socket,
    readonly ip: string,
    readonly deadline: NodeJS.Timeout,
  ) {}

  destroy(): void {
    this.socket.destroy()
  }
}

/**
 * Accepts HTTP connections and lets in those that ask for a WebSocket, on any path and without a subprotocol. Whatever
 * else comes is closed without an answer.
 */
export class WebSocketUpgrades {
  readonly #server: Server
  readonly #webSockets: WebSocketServer
  readonly #options: WebSocketUpgradesOptions
  readonly #isTrusted: (ip: string) => boolean
  readonly #pending = new Map<Socket, Pending>()
  readonly #guard: ConnectionGuard<Pending>

  private constructor(options: WebSocketUpgradesOptions) {
    this.#options = options
    this.#isTrusted = addressMatcher(options.trustedProxies)
    this.#guard = new ConnectionGuard({ ...PENDING_LIMITS, isExempt: this.#isTrusted })
    // The deadline of each connection is ours: Node's are only looked at every half minute.
    this.#server = createServer({ noDelay: true, maxHeaderSize: MAX_HEAD_BYTES, headersTimeout: 0, requestTimeout: 0 })
    this.#webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      autoPong: false,
      maxPayload: options.maxMessageBytes,
      skipUTF8Validation: true,
      handleProtocols: () => false,
    })
  }

  /** @throws the listen error of Node */
  static async open(options: WebSocketUpgradesOptions): Promise<WebSocketUpgrades> {
    const upgrades = new WebSocketUpgrades(options)
    const server = upgrades.#server
    server.on('connection', (socket) => upgrades.#accept(socket))
    server.on('request', ({ socket }) => socket.destroy())
    server.on('connect', (_request, socket) => socket.destroy())
    server.on('clientError', (_error, socket) => socket.destroy())
    server.on('upgrade', (request, socket, head) => upgrades.#upgrade(request, socket as Socket, head))
    upgrades.#webSockets.on('wsClientError', (_error, socket) => socket.destroy())
    await listenEverywhere(server, options)
    server.on('error', options.onError)
    return upgrades
  }

  get port(): number {
    return portOf(this.#server)
  }

  /**
   * Takes a connection that another process has upgraded. Without extensions the stream of frames is all there is to it:
   * it is read from its beginning.
   *
   * @param received what came on it since its upgrade
   */
  takeOver(socket: Socket, remote: Endpoint, received: Buffer): void {
    socket.on('error', ignoreReset)
    const { write } = socket
    // The answer to the handshake, which the client has had.
    socket.write = () => true
    this.#webSockets.handleUpgrade(HANDSHAKE, socket, received, (webSocket) => {
      socket.write = write
      this.#options.onUpgraded({ webSocket, socket, remote, ageMs: 0, wasGiven: true })
    })
  }

  /** Accepts nobody any more, frees the port and ends what was not upgraded yet. May be called twice. */
  close(): void {
    this.#server.close()
    for (const { socket } of [...this.#pending.values()]) socket.destroy()
  }

  #accept(socket: Socket): void {
    // The client may have gone before it was accepted.
    if (socket.remoteAddress === undefined) {
      socket.destroy()
      return
    }
    const ip = normaliseIp(socket.remoteAddress)
    if (this.#options.refuses(ip)) {
      socket.destroy()
      return
    }
    const deadline = setTimeout(() => socket.destroy(), this.#options.upgradeTimeoutMs)
    const pending = new Pending(socket, ip, deadline)
    this.#pending.set(socket, pending)
    socket.on('error', ignoreReset)
    socket.once('close', () => this.#settle(pending))
    if (!this.#guard.admit(pending, ip)) socket.destroy()
  }

  #settle(pending: Pending): void {
    clearTimeout(pending.deadline)
    this.#pending.delete(pending.socket)
    this.#guard.remove(pending)
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const pending = this.#pending.get(socket)
    if (!pending || request.headers.upgrade?.toLowerCase() !== 'websocket') {
      socket.destroy()
      return
    }
    const remote = forwardedEndpoint({
      remote: { ip: pending.ip, port: socket.remotePort ?? 0 },
      realIp: oneValue(request.headers['x-real-ip']),
      forwardedFor: oneValue(request.headers['x-forwarded-for']),
      isTrusted: this.#isTrusted,
    })
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      this.#settle(pending)
      const ageMs = performance.now() - pending.acceptedAt
      this.#options.onUpgraded({ webSocket, socket, remote, ageMs, wasGiven: false })
    })
  }
}

/** 'close' follows and says all there is to say. */
const ignoreReset = () => undefined

/** Node joins repeated headers itself; the type does not know. */
const oneValue = (header: string | string[] | undefined): string | undefined =>
  Array.isArray(header) ? header.join(',') : header
