import { isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { sourcePrefix } from '@tryst/protocol'
import {
  LoadMeter,
  Relay,
  type RelayAnnouncement,
  type RelayEvents,
  type RelaySettings,
  runConsoleCommand,
  type SessionBroker,
} from '@tryst/relay'
import {
  ConnectionGuard,
  givenSocket,
  type HalfGuard,
  openWebSocketHalves,
  type ProxyHeaderFailure,
  readHandle,
  type SocketReading,
  StreamHalf,
  serveTextConsole,
  TcpHalf,
  TcpHalfListener,
  type WebSocketUpgrades,
} from '@tryst/transport'
import type { AddressLists } from './address-list-files.ts'
import type { EventLog } from './event-log.ts'
import { relayClock } from './relay-clock.ts'
import type { GivenHalf } from './sibling-relays.ts'

export interface HbbrOptions {
  /** WebSocket has the port + 2. 0: drawn by the system, for tests. */
  readonly port: number
  readonly bind: string | undefined
  /** Other nodes on this host may listen on the same ports. */
  readonly reusePort?: boolean
  /** Other relays of this program may be given connections. */
  readonly hasSiblings?: boolean
  readonly settings: RelaySettings
  readonly connectionsPerSource: number
  readonly connectionsTotal: number
  readonly trustedProxies: readonly string[]
  /** Whether TCP connections of trusted proxies begin with a header that says whose they are. */
  readonly proxyProtocol?: boolean
  /** Operator's text console for loopback connections to the TCP port. */
  readonly textConsole: 'on' | 'off'
  readonly reading: SocketReading
  /** How long relayed sessions may go on when the relay is closed. */
  readonly drainMs: number
  /** How long sessions that were offered before may still arrive when the relay is closed; for tests. */
  readonly offeredMs?: number
}

export interface HbbrParts {
  readonly lists: AddressLists
  readonly eventLog: EventLog
  /** Where else it is noted what becomes of halves, before the log. Not there: nowhere. */
  readonly events?: RelayEvents | undefined
  /** Where halves find each other across relays, and whether they were introduced. Not there: this relay is alone. */
  readonly broker?: SessionBroker | undefined
  /** Who sends clients here. Not there: nobody that could be told to stop. */
  readonly offers?: RelayOffers | undefined
  /** A connection of a trusted proxy did not say whose it is. */
  readonly onProxyHeaderFailure?: (failure: ProxyHeaderFailure, proxyIp: string) => void
}

/** What makes clients come to this relay. */
export interface RelayOffers {
  /** From now on nobody is sent here; whoever was sent before may still come. Called first when the relay is closed. */
  withdraw(): Promise<void>
  /** Whether somebody who was sent here in the last so many milliseconds may not have come yet. Not there: nobody can tell. */
  readonly mayCome?: (withinMs: number) => boolean
}

/** What an operator says of a relay. */
export type RelayIdentity = Pick<RelayAnnouncement, 'address' | 'name' | 'region' | 'capacityBitsPerSecond'>

/** Clients derive this port themselves: the TCP port + 2. */
const webSocketPort = (tcpPort: number): number => (tcpPort === 0 ? 0 : tcpPort + 2)

/** How long the relay goes on accepting when it is closed: what was offered still comes about. */
const OFFERED_MS = 8_000

/** How often it is looked whether all have come. */
const OUTSTANDING_POLL_MS = 50

/** How long what was written before the end may take to leave. */
const FLUSH_MS = 500
const FLUSH_POLL_MS = 10

/** A running relay: its sockets, and the core that they serve. */
export class Hbbr {
  #closing: Promise<void> | undefined
  readonly #load = new LoadMeter(relayClock.now())

  private constructor(
    readonly relay: Relay,
    readonly guard: HalfGuard,
    readonly eventLog: EventLog,
    private readonly options: HbbrOptions,
    private readonly offers: RelayOffers | undefined,
    private readonly tcp: TcpHalfListener,
    private readonly webSocket: WebSocketUpgrades,
  ) {}

  /** @throws the listen error of Node when a port is taken */
  static async start(options: HbbrOptions, parts: HbbrParts): Promise<Hbbr> {
    const { lists, eventLog, events = eventLog, broker, offers, onProxyHeaderFailure = () => undefined } = parts
    const relay = new Relay({ settings: options.settings, clock: relayClock, events, broker, ...lists })
    const guard: HalfGuard = new ConnectionGuard(
      { perSource: options.connectionsPerSource, total: options.connectionsTotal },
      (limit, source) => eventLog.limitHit(limit, source),
    )
    const refuses = (ip: string) => relay.refuses(ip)
    const { trustedProxies } = options
    const timeoutMs = options.settings.firstMessageMs
    const headers = options.proxyProtocol ? { trustedProxies, timeoutMs, onFailure: onProxyHeaderFailure } : undefined
    const tcp = await TcpHalfListener.open({
      ...{ bind: options.bind, port: options.port, reusePort: options.reusePort, reading: options.reading },
      ...{ guard, refuses, headers },
      divert: (socket, ip) => options.textConsole === 'on' && isLoopback(ip) && serveConsole(socket, relay, lists),
      onOpen: (half, ageMs) => relay.arrive(half, ageMs),
      onPortable: eventLog.readsPortably,
      onError: eventLog.acceptFailed,
    })
    try {
      const webSocket = await openWebSocketHalves({
        ...{ bind: options.bind, port: webSocketPort(options.port), reusePort: options.reusePort, guard, refuses },
        upgradeTimeoutMs: options.settings.firstMessageMs,
        firstMessageMaxBytes: options.settings.firstMessageMaxBytes,
        maxMessageBytes: options.settings.maxMessageBytes,
        trustedProxies,
        mayBeGiven: options.hasSiblings ?? false,
        onOpen: (half, ageMs) => relay.arrive(half, ageMs, half.wasGiven ? 'sibling' : 'here'),
        onError: eventLog.acceptFailed,
      })
      return new Hbbr(relay, guard, eventLog, options, offers, tcp, webSocket)
    } catch (error) {
      tcp.close()
      throw error
    }
  }

  get ports(): { readonly tcp: number; readonly webSocket: number } {
    return { tcp: this.tcp.port, webSocket: this.webSocket.port }
  }

  /** True as soon as it was told to stop. */
  get isDraining(): boolean {
    return this.#closing !== undefined
  }

  /** Bits a second of the last seconds, both directions together. Meant to be asked about once a second. */
  get loadBitsPerSecond(): number {
    const { bytesRelayed, bytesJoined } = this.relay.counters
    return this.#load.measure(relayClock.now(), (bytesRelayed + bytesJoined) * 8)
  }

  /** What ID servers should know of this relay now. */
  describe(identity: RelayIdentity): RelayAnnouncement {
    return { ...identity, loadBitsPerSecond: this.loadBitsPerSecond, isDraining: this.isDraining }
  }

  /** Whether a half waits here for one that has come to another relay. */
  awaits({ uuid, half }: JoinRequest): boolean {
    return this.relay.awaits(uuid, half)
  }

  /**
   * Pairs a half that waits here with one that has come to another relay, at the end of this stream.
   *
   * @returns false when it does not wait here any more; the stream was not touched then
   */
  join(request: JoinRequest, stream: Duplex): boolean {
    const far = request.webSocket ? 'websocket' : 'tcp'
    return this.awaits(request) && this.relay.join(request.uuid, request.half, new StreamHalf(stream), far)
  }

  /** Takes a connection that another relay of this program has accepted: its partner waits here. */
  takeOver({ handle, transport, remote, stream }: GivenHalf): void {
    if (transport === 'websocket') {
      this.webSocket.takeOver(givenSocket(handle), remote, stream)
      return
    }
    const { guard } = this
    const options = { remote, source: sourcePrefix(remote.ip), guard, wasGiven: true }
    const half = new TcpHalf((listener) => readHandle(handle, listener), options)
    if (!guard.admit(half, remote.ip)) {
      half.destroy()
      return
    }
    this.relay.arrive(half, 0, 'sibling')
    half.replay(stream)
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
    await this.#letOfferedArrive()
    this.tcp.close()
    this.webSocket.close()
    this.relay.closeArrivals()
    await Promise.race([this.relay.nobodyRelays(), drained])
    this.relay.closePairs()
    const flushedBy = performance.now() + FLUSH_MS
    while (this.guard.connections > 0 && performance.now() < flushedBy) await after(FLUSH_POLL_MS)
    for (const half of [...this.guard]) half.destroy()
  }

  /** Goes on accepting: partners of those who wait, and whoever was sent here before this relay withdrew. */
  async #letOfferedArrive(): Promise<void> {
    const offeredMs = this.options.offeredMs ?? OFFERED_MS
    const startedAt = performance.now()
    const isOver = () => performance.now() - startedAt >= offeredMs
    const over = after(offeredMs)
    const { offers } = this
    if (offers) {
      // It may take as long as it likes: nothing waits for it.
      offers.withdraw().catch((error) => this.eventLog.withdrawFailed(error))
      const mayCome = () => offers.mayCome?.(offeredMs) ?? true
      while (!isOver() && mayCome()) await after(OUTSTANDING_POLL_MS)
    }
    await Promise.race([this.relay.nobodyWaits(), over])
  }
}

/** A half that another relay was sent to join, as that relay names it. */
export interface JoinRequest {
  readonly uuid: string
  readonly half: string
  /** Pings of a WebSocket there are not seen here. */
  readonly webSocket?: boolean
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
