import { isIP, type Socket } from 'node:net'
import { Relay, type RelaySettings, runConsoleCommand } from '@tryst/relay'
import {
  ConnectionGuard,
  type HalfGuard,
  openWebSocketHalves,
  type SocketReading,
  serveTextConsole,
  TcpHalfListener,
  type WebSocketUpgrades,
} from '@tryst/transport'
import type { AddressLists } from './address-list-files.ts'
import type { EventLog } from './event-log.ts'
import { relayClock } from './relay-clock.ts'

export interface HbbrOptions {
  /** WebSocket has the port + 2. 0: drawn by the system, for tests. */
  readonly port: number
  readonly bind: string | undefined
  readonly settings: RelaySettings
  readonly connectionsPerSource: number
  readonly connectionsTotal: number
  readonly trustedProxies: readonly string[]
  /** Operator's text console for loopback connections to the TCP port. */
  readonly textConsole: 'on' | 'off'
  readonly reading: SocketReading
  /** How long relayed sessions may go on when the relay is closed. */
  readonly drainMs: number
}

export interface HbbrParts {
  readonly lists: AddressLists
  readonly eventLog: EventLog
}

/** Clients derive this port themselves: the TCP port + 2. */
const webSocketPort = (tcpPort: number): number => (tcpPort === 0 ? 0 : tcpPort + 2)

/** How long halves that wait may go on waiting when the relay is closed: what was offered still comes about. */
const WAITING_GRACE_MS = 8_000

/** How long what was written before the end may take to leave. */
const FLUSH_MS = 500
const FLUSH_POLL_MS = 10

/** A running relay: its sockets, and the core that they serve. */
export class Hbbr {
  #closing: Promise<void> | undefined

  private constructor(
    readonly relay: Relay,
    readonly guard: HalfGuard,
    readonly eventLog: EventLog,
    private readonly options: HbbrOptions,
    private readonly tcp: TcpHalfListener,
    private readonly webSocket: WebSocketUpgrades,
  ) {}

  /** @throws the listen error of Node when a port is taken */
  static async start(options: HbbrOptions, { lists, eventLog }: HbbrParts): Promise<Hbbr> {
    const relay = new Relay({ settings: options.settings, clock: relayClock, events: eventLog, ...lists })
    const guard: HalfGuard = new ConnectionGuard(
      { perSource: options.connectionsPerSource, total: options.connectionsTotal },
      (limit, source) => eventLog.limitHit(limit, source),
    )
    const refuses = (ip: string) => relay.refuses(ip)
    const tcp = await TcpHalfListener.open({
      ...{ bind: options.bind, port: options.port, reading: options.reading, guard, refuses },
      divert: (socket, ip) => options.textConsole === 'on' && isLoopback(ip) && serveConsole(socket, relay, lists),
      onOpen: (half) => relay.arrive(half),
      onPortable: eventLog.readsPortably,
      onError: eventLog.acceptFailed,
    })
    try {
      const webSocket = await openWebSocketHalves({
        ...{ bind: options.bind, port: webSocketPort(options.port), guard, refuses },
        upgradeTimeoutMs: options.settings.firstMessageMs,
        firstMessageMaxBytes: options.settings.firstMessageMaxBytes,
        maxMessageBytes: options.settings.maxMessageBytes,
        trustedProxies: options.trustedProxies,
        onOpen: (half, ageMs) => relay.arrive(half, ageMs),
        onError: eventLog.acceptFailed,
      })
      return new Hbbr(relay, guard, eventLog, options, tcp, webSocket)
    } catch (error) {
      tcp.close()
      throw error
    }
  }

  get ports(): { readonly tcp: number; readonly webSocket: number } {
    return { tcp: this.tcp.port, webSocket: this.webSocket.port }
  }

  /**
   * Lets what was offered come about and what is relayed go on as long as it may, then ends everything. May be called
   * twice.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const drained = after(this.options.drainMs)
    // Partners of those who wait must still be able to come.
    await Promise.race([this.relay.nobodyWaits(), after(WAITING_GRACE_MS)])
    this.tcp.close()
    this.webSocket.close()
    this.relay.closeArrivals()
    await Promise.race([this.relay.nobodyRelays(), drained])
    this.relay.closePairs()
    const flushedBy = performance.now() + FLUSH_MS
    while (this.guard.connections > 0 && performance.now() < flushedBy) await after(FLUSH_POLL_MS)
    for (const half of [...this.guard]) half.destroy()
  }
}

const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref())

function isLoopback(ip: string): boolean {
  return ip === '::1' || (isIP(ip) === 4 && ip.startsWith('127.'))
}

function serveConsole(socket: Socket, relay: Relay, lists: AddressLists): true {
  const facts = {
    ...lists,
    bandwidth: relay.bandwidth,
    setTotalMegabits: (megabits: number) => relay.setTotalMegabits(megabits),
    usage: () => relay.usage(),
  }
  serveTextConsole(socket, (command) => runConsoleCommand(command, facts))
  return true
}
