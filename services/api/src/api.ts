import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { normaliseIp } from '@tryst/protocol'
import {
  addressMatcher,
  ConnectionGuard,
  type ConnectionLimit,
  type Displaceable,
  listenEverywhere,
  portOf,
} from '@tryst/transport'
import { ApiCounters } from './api-counters.ts'
import { type AppOptions, createApp } from './app.ts'
import type { ApiPorts } from './ports.ts'

export interface ApiOptions extends AppOptions {
  /** 0: drawn by the system, for tests. */
  readonly port: number
  readonly bind: string | undefined
  readonly connectionsPerSource: number
  readonly connectionsTotal: number
  /** How long a request may take to arrive; for tests. */
  readonly requestMs?: number
  readonly onConnectionLimit: (limit: ConnectionLimit, source: string) => void
}

// An import of node:http reads all its exports, one of which loads Node's whole fetch.
const { createServer } = process.getBuiltinModule('node:http')

/** The head and the body of a request have to arrive within this, however slowly they trickle. */
const REQUEST_MS = 15_000
const MAX_HEAD_BYTES = 8 * 1024
/** Longer than proxies keep an idle connection to us, so that they never use one that we are just closing. */
const KEEP_ALIVE_MS = 65_000
/** How long requests that have begun may take when the API is closed. */
const CLOSE_MS = 3_000

class HttpConnection implements Displaceable {
  /** Requests that have come and are not answered yet. */
  asking = 0

  constructor(private readonly socket: Socket) {}

  destroy(): void {
    this.socket.destroy()
  }

  /** Ends it after what was sent has left. */
  end(): void {
    this.socket.destroySoon()
  }
}

/** A running API: its port, and the routes that it serves. */
export class Api {
  readonly counters = new ApiCounters()
  #closing: Promise<void> | undefined

  private constructor(
    private readonly server: Server,
    private readonly guard: ConnectionGuard<HttpConnection>,
    private readonly closeApp: () => Promise<void>,
  ) {}

  /** @throws the listen error of Node when the port is taken */
  static async start(options: ApiOptions, ports: ApiPorts): Promise<Api> {
    const { port, bind, requestMs = REQUEST_MS } = options
    const app = await createApp(options, ports)
    await app.ready()
    const server = createServer({
      requestTimeout: requestMs,
      headersTimeout: requestMs,
      connectionsCheckingInterval: Math.min(1_000, requestMs),
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEAD_BYTES,
    })
    const guard = new ConnectionGuard<HttpConnection>(
      {
        ...{ perSource: options.connectionsPerSource, total: options.connectionsTotal },
        isExempt: addressMatcher(options.trustedProxies),
      },
      options.onConnectionLimit,
    )
    const api = new Api(server, guard, () => app.close())
    const connectionOf = guardConnections(server, guard)
    server.on('request', (request, response) => {
      const connection = connectionOf(request.socket)
      if (connection) api.#expectAnswer(connection, response)
      app.routing(request, response)
    })
    try {
      await listenEverywhere(server, { port, bind })
    } catch (error) {
      await app.close()
      throw error
    }
    return api
  }

  get port(): number {
    return portOf(this.server)
  }

  get connections(): number {
    return this.guard.connections
  }

  get isClosing(): boolean {
    return this.#closing !== undefined
  }

  /** Takes no more requests, and answers those that have begun. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #expectAnswer(connection: HttpConnection, response: ServerResponse): void {
    connection.asking++
    response.once('finish', () => {
      this.counters.answered(response.statusCode)
      if (response.statusCode < 400) this.guard.prove(connection)
    })
    response.once('close', () => {
      connection.asking--
      if (this.isClosing) connection.end()
    })
  }

  async #close(): Promise<void> {
    const { server, guard } = this
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    for (const connection of [...guard]) if (connection.asking === 0) connection.end()
    const deadline = setTimeout(() => server.closeAllConnections(), CLOSE_MS)
    await closed
    clearTimeout(deadline)
    await this.closeApp()
  }
}

/** Bounds the connections. @returns the connection on a socket */
function guardConnections(
  server: Server,
  guard: ConnectionGuard<HttpConnection>,
): (socket: Socket) => HttpConnection | undefined {
  const known = new WeakMap<Socket, HttpConnection>()
  server.on('connection', (socket) => {
    const connection = new HttpConnection(socket)
    if (!guard.admit(connection, normaliseIp(socket.remoteAddress ?? ''))) {
      socket.destroy()
      return
    }
    known.set(socket, connection)
    socket.once('close', () => guard.remove(connection))
  })
  return (socket) => known.get(socket)
}
