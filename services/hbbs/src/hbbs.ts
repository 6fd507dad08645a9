import { randomBytes, randomFillSync } from 'node:crypto'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Signer } from '@tryst/protocol'
import type { BoxKeyPair } from '@tryst/protocol/secure-tcp'
import {
  type AccessStore,
  type AttemptRecorder,
  type ClientConnection,
  type Cluster,
  type HiddenSources,
  type HttpProxy,
  type IdentityStore,
  isLoopback,
  type Reception,
  type RelayDirectory,
  type RelayTickets,
  type RendezvousEvents,
  RendezvousServer,
  type RendezvousSettings,
} from '@tryst/rendezvous'
import {
  type AwaitedHeadersOptions,
  ConnectionGuard,
  type ConnectionLimit,
  FramedTcpListener,
  KeyOffers,
  type ProxyHeaderFailure,
  serveTextConsole,
  WebSocketListener,
} from '@tryst/transport'
import { DeviceDoor } from './device-door.ts'
import { Door, type Listener } from './door.ts'
import { RelayProbe, resolvable } from './relay-probe.ts'

export interface HbbsOptions {
  /** Main port; the NAT test has the one below, WebSocket the second above. 0: drawn by the system, for tests. */
  readonly port: number
  readonly bind: string | undefined
  /** Other nodes on this host may listen on the same ports. */
  readonly reusePort: boolean
  readonly settings: RendezvousSettings
  readonly receiveBufferBytes: number
  /** Operator's text console for loopback connections to the second port. */
  readonly textConsole: 'on' | 'off'
  readonly firstMessageTimeoutMs: number
  /** A larger message ends the connection, as soon as its length is known. */
  readonly maxMessageBytes: number
  readonly connectionsPerSource: number
  readonly connectionsTotal: number
  readonly trustedProxies: readonly string[]
  /** Whether TCP connections of trusted proxies begin with a header that says whose they are. */
  readonly proxyProtocol: boolean
}

export interface HbbsParts {
  readonly identities: IdentityStore
  readonly access: AccessStore
  readonly cluster: Cluster
  readonly announcedRelays: RelayDirectory
  readonly tickets: RelayTickets
  /** Not there: attempts are not recorded. */
  readonly attempts?: AttemptRecorder | undefined
  /** Not there: this server has no API. */
  readonly httpProxy?: HttpProxy | undefined
  readonly signer: Signer | undefined
  /** For tests that play recorded handshakes. Not there: drawn at random. */
  readonly createKeyPair?: () => BoxKeyPair
  readonly events: RendezvousEvents
  readonly sources: HiddenSources
  readonly onUnresolvedRelays: (relays: readonly string[]) => void
  readonly onConnectionLimit: (limit: ConnectionLimit, source: string) => void
  readonly onProxyHeaderFailure: (failure: ProxyHeaderFailure, proxyIp: string) => void
  readonly onSocketError: (error: Error) => void
}

const IDLE_TIMEOUT_MS = 30_000
const SWEEP_EVERY_MS = 250
/** How long a stop waits for answers to requests that were already handed on; supervisors commonly kill after 10 s. */
const DRAIN_MS = 7_500
const DRAIN_CHECK_MS = 50
/** Kernel receive buffer when the operator names none. */
export const DEFAULT_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024

/** A running ID server: its sockets, and the core that they serve. */
export class Hbbs {
  #closing: Promise<void> | undefined

  private constructor(
    readonly server: RendezvousServer,
    private readonly listeners: {
      readonly udp: DeviceDoor
      readonly main: Door<FramedTcpListener>
      readonly second: Door<FramedTcpListener>
      readonly webSocket: Door<WebSocketListener>
    },
    private readonly parts: HbbsParts,
    private readonly stopWork: () => void,
  ) {}

  /** @throws the listen error of Node when a port is taken */
  static async start(options: HbbsOptions, parts: HbbsParts): Promise<Hbbs> {
    const server = new RendezvousServer(options.settings, {
      ...parts,
      clock: Date.now,
      random: randomUint32,
      asciiText: (bytes, start, end) => (bytes as Buffer).toString('latin1', start, end),
      hasConnection: (ip) => guard.has(ip),
      onKept: (connection) => guard.exempt(connection),
    })
    const { firstMessageTimeoutMs, bind, port, reusePort } = options
    const guard = new ConnectionGuard<ClientConnection>(
      {
        perSource: options.connectionsPerSource,
        total: options.connectionsTotal,
        isExempt: (ip) => parts.sources.isHidden(ip),
      },
      parts.onConnectionLimit,
    )
    const headers = options.proxyProtocol ? awaitedHeaders(options, parts) : undefined
    const tcp = {
      ...{ bind, reusePort, headers, firstMessageTimeoutMs, idleTimeoutMs: IDLE_TIMEOUT_MS },
      maxFrameBytes: options.maxMessageBytes,
      onError: parts.onSocketError,
    }
    const opened: { close(): Promise<void> }[] = []
    const open = async <T extends { close(): Promise<void> }>(listener: Promise<T>): Promise<T> => {
      const one = await listener
      opened.push(one)
      return one
    }
    try {
      const door = <L extends Listener>(port: number, openOn: (port: number) => Promise<L>) =>
        open(Door.open(port, openOn, parts.onSocketError))
      const mainHandler = handlerOf(server, guard, (connection, payload) => server.onMessage(connection, payload))
      const keyOffers = parts.signer && new KeyOffers(parts.signer, server.counters.keyExchanges, parts.createKeyPair)
      const main = await door(port, (port) => FramedTcpListener.open({ ...tcp, port, keyOffers, handler: mainHandler }))
      const portOf = (offset: number) => (port === 0 ? 0 : port + offset)
      // Part of the cluster before the first device registers: others call nobody offline whom a living node holds.
      let devices: DeviceDoor | undefined
      await server.start({ send: (payload, ip, port) => devices?.send(payload, ip, port) })
      opened.push({ close: () => parts.cluster.leave() })
      const udp = await open(
        DeviceDoor.open({
          ...{ bind, reusePort, port: main.port, receiveBufferBytes: options.receiveBufferBytes },
          onError: parts.onSocketError,
          onDatagram: (datagram, ip, from, sender) => server.onDatagram(datagram, ip, from, sender),
        }),
      )
      devices = udp
      const second = await door(portOf(-1), (port) =>
        FramedTcpListener.open({
          ...{ ...tcp, port },
          handler: handlerOf(server, guard, (connection, payload) => server.onSecondPortMessage(connection, payload)),
          divert: (socket, ip) => options.textConsole === 'on' && isLoopback(ip) && serveConsole(socket, server),
        }),
      )
      const webSocket = await door(portOf(2), (port) =>
        WebSocketListener.open({
          ...{ bind, reusePort, port, firstMessageTimeoutMs, idleTimeoutMs: IDLE_TIMEOUT_MS },
          maxMessageBytes: options.maxMessageBytes,
          trustedProxies: options.trustedProxies,
          handler: mainHandler,
          onError: parts.onSocketError,
        }),
      )
      const probe = new RelayProbe(server.relays)
      const unresolved = await probe.start()
      if (unresolved.length > 0) parts.onUnresolvedRelays(unresolved)
      const sweeper = setInterval(() => {
        server.sweep()
        // What a controller asked here would be answered to nodes that do not count this one among the living.
        for (const each of [udp, main, second, webSocket]) each.keep(parts.cluster.isCutOff ? 'shut' : 'open')
      }, SWEEP_EVERY_MS)
      const stopWork = () => {
        probe.close()
        clearInterval(sweeper)
      }
      return new Hbbs(server, { udp, main, second, webSocket }, parts, stopWork)
    } catch (error) {
      await Promise.all(opened.map((listener) => listener.close()))
      throw error
    }
  }

  get ports(): { main: number; natTest: number; webSocket: number } {
    const { main, second, webSocket } = this.listeners
    return { main: main.port, natTest: second.port, webSocket: webSocket.port }
  }

  get readiness(): { ready: true } | { ready: false; reason: string } {
    if (this.#closing) return { ready: false, reason: 'stopping' }
    return this.parts.cluster.isCutOff ? { ready: false, reason: 'cut off from the shared state' } : { ready: true }
  }

  /**
   * Stops serving: its devices are nobody's at once, and the UDP socket is shut, so that they turn to another node; then
   * waits until the devices that were already asked have answered; then the rest, and at last the store, so that nothing
   * acknowledged is lost. May be called twice.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { udp, main, second, webSocket } = this.listeners
    const { waiting } = this.server.introducer
    this.stopWork()
    // Nobody may be told that a device was asked which hears nothing any more.
    const retired = this.server.retire()
    await udp.close()
    // Answers may arrive at other nodes, and are brought here as long as this one takes part.
    const deadline = performance.now() + DRAIN_MS
    while (waiting.unanswered > 0 && performance.now() < deadline) await sleep(DRAIN_CHECK_MS)
    await retired
    await this.parts.cluster.leave()
    await Promise.all([main.close(), second.close(), webSocket.close()])
    await this.parts.identities.close()
  }
}

const awaitedHeaders = (options: HbbsOptions, parts: HbbsParts): AwaitedHeadersOptions => ({
  trustedProxies: options.trustedProxies,
  timeoutMs: options.firstMessageTimeoutMs,
  onFailure: parts.onProxyHeaderFailure,
})

/** What becomes of connections, whatever carries them. */
interface ConnectionHandler {
  onOpen(connection: ClientConnection): boolean
  onMessage(connection: ClientConnection, payload: Uint8Array): void
  onClose(connection: ClientConnection): void
}

/** What each listener does with its connections: shares first, then the core. */
function handlerOf(
  server: RendezvousServer,
  guard: ConnectionGuard<ClientConnection>,
  receive: (connection: ClientConnection, payload: Uint8Array) => Reception,
): ConnectionHandler {
  return {
    onOpen: (connection) => {
      const { ip } = connection.remote
      server.sources.noteConnection(ip)
      return guard.admit(connection, ip)
    },
    onMessage: (connection, payload) => {
      if (receive(connection, payload) === 'valid') guard.prove(connection)
    },
    onClose: (connection) => {
      guard.remove(connection)
      server.onClose(connection)
    },
  }
}

function serveConsole(socket: Socket, server: RendezvousServer): true {
  serveTextConsole(socket, (command) =>
    server.onConsoleCommand(command, (relays) => {
      void resolvable(relays).then((found) => server.relays.configure(found))
    }),
  )
  return true
}

/** Random numbers of 32 bits from the system's generator, drawn in batches. */
export const randomUint32 = (() => {
  const pool = new Uint32Array(1024)
  let next = pool.length
  return () => {
    if (next === pool.length) {
      randomFillSync(pool)
      next = 0
    }
    return pool[next++] ?? randomBytes(4).readUInt32LE()
  }
})()
