import { EventEmitter } from 'node:events'
import { isIPv6 } from 'node:net'
import { type RendezvousMessage, type rendezvous, unmangleAddress } from '@tryst/protocol'
import { type ChangeIdOutcome, requestId } from './change-id.ts'
import { type Clock, systemClock, within } from './clock.ts'
import { ConnectionRegistrar } from './connection-registrar.ts'
import { createDeviceIdentity, type DeviceIdentity, drawId } from './device-identity.ts'
import { DeviceSession, drawText, type SessionHost } from './device-session.ts'
import type { LinkTransport } from './link.ts'
import { LinkRegistry } from './link-registry.ts'
import { type LoginFailures, NO_FAILURES } from './login.ts'
import { type Meeting, meet, waitOverIpv6 } from './meeting.ts'
import { type NatType, repeatNatTest, testNat } from './nat-test.ts'
import { nodeDialler } from './node-dialler.ts'
import { decideReaction, type Reaction, type SeenPush } from './reaction.ts'
import type { Registrar, RegistrarHost } from './registrar.ts'
import type { RegistrationStatus } from './registration.ts'
import type { Network } from './rendezvous-link.ts'
import { derivedRelayServer, idServer, type ServerSettings } from './service-address.ts'
import { UdpRegistrar } from './udp-registrar.ts'

export interface DeviceOptions {
  readonly server: ServerSettings
  /** Default: a new identity with an id drawn at random. */
  readonly identity?: DeviceIdentity
  /** The permanent password. Default: none is right. */
  readonly password?: string
  /** `websocket`: the client's WebSocket mode, in which every session is relayed, over WebSocket. Default `tcp`. */
  readonly transport?: LinkTransport
  /**
   * `connection`: over a connection that stays open, as stock devices do in WebSocket mode, and with `disable-udp` over
   * TCP; not every server takes it. Default: `connection` with `websocket`, else `udp`.
   */
  readonly registration?: 'udp' | 'connection'
  /** Address that all sockets are bound to. Default: any. */
  readonly localAddress?: string
  /** What the NAT test is to have found. Default: the test is made. */
  readonly natType?: NatType
  /** The server has confirmed this key before. Default false. */
  readonly keyConfirmed?: boolean
  /** False: the device accepts no direct connections over TCP. Default true. */
  readonly mayListen?: boolean
  /** An address of this machine that initiators can reach: they may come over IPv6. Default: they don't. */
  readonly ipv6Address?: string
  readonly hostname?: string
  readonly clock?: Clock
  /** Called when a controller has logged in; sets `onData`, say. */
  readonly onSession?: (session: DeviceSession) => void
}

interface DeviceEvents {
  status: [status: RegistrationStatus]
  /** The server had the id with another uuid, so a new one was drawn; or it has granted one that was asked for. */
  idChanged: [id: string]
  registerPkAnswered: [result: rendezvous.RegisterPkResponse.Result]
  /** Somebody wants to connect, and what the device does about it. */
  reaction: [reaction: Reaction]
  /** A meeting that did not come about, because a server could not be reached. */
  failure: [error: Error]
  /** A controller has logged in. */
  session: [session: DeviceSession]
  /** A message of the server that the device does not react to. */
  message: [message: RendezvousMessage]
}

/** The NAT test has this head start over the registration, as with stock devices. */
const NAT_TEST_HEAD_START_MS = 25
/** Addresses whose failed logins a device remembers; the oldest go first. */
const MAX_REMEMBERED_ADDRESSES = 1_000
const SALT_LENGTH = 32

/** Every controller that connects gets its own bytes back. For `DeviceOptions.onSession`. */
export function echo(session: DeviceSession): void {
  session.onData = (bytes) => session.write(bytes)
}

/** A controlled device: registers with an ID server and serves the controllers that the server sends. */
export class Device extends EventEmitter<DeviceEvents> {
  readonly #options: DeviceOptions
  readonly #network: Network
  readonly #registrar: Registrar
  readonly #closing = new AbortController()
  readonly #links = new LinkRegistry()
  readonly #sessions = new Set<DeviceSession>()
  readonly #tasks = new Set<Promise<unknown>>()
  readonly #failures = new Map<string, LoginFailures>()
  readonly #salt = drawText(SALT_LENGTH)
  #identity: DeviceIdentity
  #natType: NatType
  #status: RegistrationStatus = 'starting'
  #lastPush: SeenPush | undefined
  #closed: Promise<void> | undefined

  constructor(options: DeviceOptions) {
    super()
    this.#options = options
    this.#identity = options.identity ?? createDeviceIdentity()
    this.#natType = options.natType ?? (options.transport === 'websocket' ? 'symmetric' : 'unknown')
    this.#network = {
      server: options.server,
      dialler: nodeDialler,
      transport: options.transport ?? 'tcp',
      clock: options.clock ?? systemClock,
      localAddress: options.localAddress,
      links: this.#links,
    }
    const host = this.#registrarHost()
    const registration = options.registration ?? (this.#network.transport === 'websocket' ? 'connection' : 'udp')
    this.#registrar =
      registration === 'connection'
        ? new ConnectionRegistrar(this.#network, host)
        : new UdpRegistrar(this.#network, host, options.keyConfirmed ?? false)
  }

  get id(): string {
    return this.#identity.id
  }

  get identity(): DeviceIdentity {
    return this.#identity
  }

  get natType(): NatType {
    return this.#natType
  }

  get status(): RegistrationStatus {
    return this.#status
  }

  get sessions(): ReadonlySet<DeviceSession> {
    return this.#sessions
  }

  /** Tests the NAT and registers. Resolves when the first registration has left; `online()` waits for its answer. */
  async start(): Promise<this> {
    if (this.#natType === 'unknown') {
      const firstTest = testNat(this.#network, this.#closing.signal)
      this.#run(this.#learnNatType(firstTest))
      await within(this.#network.clock, NAT_TEST_HEAD_START_MS, firstTest)
    }
    if (!this.#closing.signal.aborted) await this.#registrar.start()
    return this
  }

  /** Starts the device if need be and resolves when the server has accepted it. @throws Error after `limitMs` */
  async online(limitMs = 18_000): Promise<this> {
    const isOnline = new Promise<void>((resolve) => {
      if (this.#status === 'online') return resolve()
      const check = (status: RegistrationStatus) => {
        if (status !== 'online') return
        this.off('status', check)
        resolve()
      }
      this.on('status', check)
    })
    if ((await within(this.#network.clock, limitMs, isOnline)) === 'timeout') {
      const { host, port } = idServer(this.#network.server)
      throw new Error(`device ${this.id} is ${this.#status}; is ${host}, port ${port}, the ID server, and reachable?`)
    }
    return this
  }

  /**
   * Asks for another id, as its user would, and takes it when it is granted: the device registers under it when its next
   * registration is due.
   *
   * @throws LinkError when there is no connection
   */
  async changeId(id: string): Promise<ChangeIdOutcome> {
    const outcome = await requestId(this.#network, this.#identity, id, this.#closing.signal)
    if (outcome !== 'changed') return outcome
    this.#identity = { ...this.#identity, id }
    this.#registrar.unconfirmKey()
    this.emit('idChanged', id)
    return outcome
  }

  /** Ends sessions, registration and whatever is under way; leaves no handle. The server finds out by itself. */
  close(): Promise<void> {
    this.#closed ??= this.#shutDown()
    return this.#closed
  }

  async #shutDown(): Promise<void> {
    this.#closing.abort()
    await this.#registrar.close()
    await Promise.all([...this.#sessions].map((session) => session.close()))
    await Promise.all(this.#tasks)
    await this.#links.closeAll()
  }

  #registrarHost(): RegistrarHost {
    const device = this
    return {
      get identity() {
        return device.#identity
      },
      drawNewId: () => {
        this.#identity = { ...this.#identity, id: drawId() }
        this.emit('idChanged', this.id)
      },
      statusChanged: (status) => {
        this.#status = status
        this.emit('status', status)
      },
      answered: (result) => this.emit('registerPkAnswered', result),
      pushed: (message) => this.#react(message),
      insecure: (error) => {
        if (!this.#closing.signal.aborted) this.emit('failure', error)
      },
    }
  }

  async #learnNatType(firstTest: Promise<NatType>): Promise<void> {
    this.#natType = await firstTest
    if (this.#natType === 'unknown') this.#natType = await repeatNatTest(this.#network, this.#closing.signal)
  }

  #react(push: RendezvousMessage): void {
    const { server, transport, clock } = this.#network
    const facts = {
      transport,
      natType: this.#natType,
      mayListen: this.#options.mayListen ?? true,
      reachesServerByIpv6: isIPv6(this.#registrar.serverIp ?? ''),
      ownRelayServer: server.relayServer,
      derivedRelayServer: derivedRelayServer(server),
      lastPush: this.#lastPush,
    }
    const { reaction, seen } = decideReaction(push, facts, clock.now())
    this.#lastPush = seen
    if (reaction.kind === 'ignore' && reaction.reason === 'notAPush') {
      this.emit('message', push)
      return
    }
    this.emit('reaction', reaction)
    if (reaction.kind !== 'ignore') this.#run(this.#serve(reaction))
  }

  async #serve(reaction: Exclude<Reaction, { kind: 'ignore' }>): Promise<void> {
    const context = {
      network: this.#network,
      id: this.id,
      natType: this.#natType,
      signal: this.#closing.signal,
    }
    const initiatorIp = 'handle' in reaction ? unmangleAddress(reaction.handle).ip : reaction.initiator.ip
    const hold = async (arrival: Promise<Meeting | undefined>) => {
      try {
        const meeting = await arrival
        if (meeting) await this.#hold(meeting, initiatorIp)
      } catch (error) {
        if (!this.#closing.signal.aborted) this.emit('failure', error as Error)
      }
    }
    const { ipv6Address } = this.#options
    const ipv6 = 'ipv6' in reaction ? reaction.ipv6 : undefined
    const waiting = ipv6 && ipv6Address ? await waitOverIpv6(ipv6Address, ipv6, context) : undefined
    if (waiting) this.#run(hold(waiting.arrival))
    await hold(meet(reaction, { ...context, ipv6: waiting?.local }))
  }

  async #hold({ link, path, isSecure, companion }: Meeting, initiatorIp: string): Promise<void> {
    const { signal } = this.#closing
    const cutOff = () => void link.close()
    signal.addEventListener('abort', cutOff)
    try {
      const session = await DeviceSession.open(link, this.#sessionHost(initiatorIp), { path, isSecure })
      signal.removeEventListener('abort', cutOff)
      if (!session) return
      this.#sessions.add(session)
      if (signal.aborted) void session.close()
      await session.ended
      this.#sessions.delete(session)
    } finally {
      signal.removeEventListener('abort', cutOff)
      await companion?.close()
    }
  }

  #sessionHost(initiatorIp: string): SessionHost {
    const device = this
    return {
      identity: this.#identity,
      clock: this.#network.clock,
      password: this.#options.password,
      salt: this.#salt,
      hostname: this.#options.hostname ?? 'tryst-device',
      get failures() {
        return device.#failures.get(initiatorIp) ?? NO_FAILURES
      },
      set failures(failures) {
        device.#rememberFailures(initiatorIp, failures)
      },
      authorized: (session) => {
        this.#failures.delete(initiatorIp)
        this.#options.onSession?.(session)
        this.emit('session', session)
      },
      keyUnconfirmed: () => this.#registrar.unconfirmKey(),
    }
  }

  #rememberFailures(ip: string, failures: LoginFailures): void {
    this.#failures.delete(ip)
    this.#failures.set(ip, failures)
    if (this.#failures.size <= MAX_REMEMBERED_ADDRESSES) return
    const [oldest] = this.#failures.keys()
    if (oldest !== undefined) this.#failures.delete(oldest)
  }

  #run(task: Promise<void>): void {
    this.#tasks.add(task)
    void task.finally(() => this.#tasks.delete(task))
  }
}
