import { decodeBase64, rendezvous } from '@tryst/protocol'
import { openIdentity, type SignedIdentity } from '@tryst/protocol/session'
import { type Clock, systemClock } from './clock.ts'
import { ConnectError } from './connect-error.ts'
import { shakeHands } from './controller-handshake.ts'
import { ControllerSession, type SessionKind } from './controller-session.ts'
import { drawId } from './device-identity.ts'
import type { Dialler } from './dialler.ts'
import { firstSuccess, type Way } from './first-success.ts'
import { HealthCheck } from './health-check.ts'
import { type Initiation, type Reached, reachDevice } from './initiator.ts'
import type { Link, LinkTransport } from './link.ts'
import { LinkRegistry } from './link-registry.ts'
import { type NatType, testNat } from './nat-test.ts'
import { queryOnline } from './online-query.ts'
import { PeerStream } from './peer-stream.ts'
import { findServer, type Network } from './rendezvous-link.ts'
import type { ServerSettings } from './service-address.ts'

export interface ControllerOptions {
  readonly server: ServerSettings
  /** The controller's own id, shown to the device. Default: drawn at random. */
  readonly id?: string
  readonly name?: string
  /** `websocket`: the client's WebSocket mode, in which every session is relayed. Default `tcp`. */
  readonly transport?: LinkTransport
  /** Default `asymmetric`, which most home networks are; `testNat()` finds out. */
  readonly natType?: NatType
  /** Address that all sockets are bound to. Default: any. */
  readonly localAddress?: string
  /** Access token of the account API. */
  readonly token?: string
  /** The client's option of this name: the device is asked to punch by UDP as well. Default false, as in stock clients. */
  readonly udpPunch?: boolean
  /** False: no TCP connection to the device is tried. Default true. */
  readonly tcpPunch?: boolean
  /** An address of this machine that the device can reach: IPv6 is tried, too. Default: it is not. */
  readonly ipv6Address?: string
  readonly clock?: Clock
}

export interface ConnectOptions {
  /** Default: none, which asks the person at the device. */
  readonly password?: string
  /** Go through the relay without trying to connect directly. */
  readonly forceRelay?: boolean
  readonly kind?: SessionKind
  /**
   * What to do when the server vouches for no key of the device: `refuse` (default), or `accept` an unencrypted
   * session, as a user does who confirms the client's question.
   */
  readonly unencrypted?: 'refuse' | 'accept'
  readonly signal?: AbortSignal
}

const CONN_TYPES: Record<SessionKind, rendezvous.ConnType> = {
  desktop: rendezvous.ConnType.DEFAULT_CONN,
  fileTransfer: rendezvous.ConnType.FILE_TRANSFER,
  terminal: rendezvous.ConnType.TERMINAL,
}

/** A device that was reached, and the stream on which both know each other. */
interface Met {
  readonly reached: Reached
  readonly stream: PeerStream
}

const ignore = () => undefined

/** A controlling client on any platform: starts sessions with devices that are registered with its ID server. */
export class ControllerCore {
  readonly id: string
  readonly #network: Network
  readonly #options: ControllerOptions
  readonly #directFailures = new Map<string, number>()
  readonly #sessions = new Set<ControllerSession>()
  readonly #attempts = new Set<Promise<void>>()
  readonly #closing = new AbortController()
  readonly #links = new LinkRegistry()
  #natType: NatType

  constructor(options: ControllerOptions & { readonly transport: LinkTransport }, dialler: Dialler) {
    this.#options = options
    this.id = options.id ?? drawId()
    this.#natType = options.natType ?? 'asymmetric'
    this.#network = {
      server: options.server,
      dialler,
      transport: options.transport,
      clock: options.clock ?? systemClock,
      localAddress: options.localAddress,
      links: this.#links,
    }
  }

  get natType(): NatType {
    return this.#natType
  }

  /** Makes the NAT test and uses its outcome from here on. */
  async testNat(): Promise<NatType> {
    this.#natType = await testNat(this.#network, this.#closing.signal)
    return this.#natType
  }

  /** Which of these ids are online; undefined when the server does not say. */
  queryOnline(ids: readonly string[]): Promise<Map<string, boolean> | undefined> {
    return queryOnline(this.#network, this.id, ids)
  }

  /**
   * Opens a session with a device and logs in.
   *
   * @throws ConnectError with the text that a stock client shows; LoginRefusedError when the device answered that
   *   the password is wrong, with the open session to try again on
   */
  connect(deviceId: string, options: ConnectOptions = {}): Promise<ControllerSession> {
    const signal = options.signal ? AbortSignal.any([options.signal, this.#closing.signal]) : this.#closing.signal
    const attempt = this.#connect(deviceId, options, signal).catch((error: unknown) => {
      throw signal.aborted ? new ConnectError('aborted', 'the attempt was given up', { cause: error }) : error
    })
    const settled = attempt.then(ignore, ignore)
    this.#attempts.add(settled)
    void settled.then(() => this.#attempts.delete(settled))
    return attempt
  }

  /** Ends all sessions and attempts; leaves no handle. */
  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all([...this.#sessions].map((session) => session.close()))
    await Promise.all(this.#attempts)
    await this.#links.closeAll()
  }

  async #connect(deviceId: string, options: ConnectOptions, signal: AbortSignal): Promise<ControllerSession> {
    const kind = options.kind ?? 'desktop'
    const earlierFailures = this.#directFailures.get(deviceId) ?? 0
    const initiation = {
      network: this.#network,
      deviceId,
      natType: this.#natType,
      forceRelay: options.forceRelay ?? false,
      connType: CONN_TYPES[kind],
      token: this.#options.token ?? '',
      ipv6Address: this.#options.ipv6Address,
      earlierFailures,
    }
    const { reached, stream } = await this.#meet(initiation, options.unencrypted ?? 'refuse', signal)
    if (reached.directFailed) this.#directFailures.set(deviceId, earlierFailures + 1)
    const cutOff = () => void reached.link.close()
    signal.addEventListener('abort', cutOff)
    try {
      if (reached.feedback !== 0) this.#checkHealth(reached.link)
      const login = {
        deviceId,
        password: options.password,
        ownId: this.id,
        ownName: this.#options.name ?? 'Tryst',
        kind,
      }
      const session = ControllerSession.create(stream, login, reached.path)
      this.#sessions.add(session)
      void session.ended.then(() => this.#sessions.delete(session))
      await session.loggedIn()
      return session
    } catch (error) {
      if (!(error instanceof ConnectError && error.failure === 'login')) await reached.link.close()
      throw error
    } finally {
      signal.removeEventListener('abort', cutOff)
    }
  }

  /**
   * The first encrypted stream to the device. With UDP punching two requests are made at once, one of them as without;
   * the connection before them tells where the server is.
   */
  async #meet(
    initiation: Omit<Initiation, 'byTcp' | 'byUdp' | 'signal'>,
    unencrypted: 'refuse' | 'accept',
    signal: AbortSignal,
  ): Promise<Met> {
    const { udpPunch = false, tcpPunch = true } = this.#options
    const mayPunch = udpPunch && this.#network.transport === 'tcp' && !initiation.forceRelay
    const byUdp = mayPunch ? await findServer(this.#network, signal) : undefined
    const byTcp = tcpPunch
    const ways: Way<Met>[] = []
    if (byTcp || !byUdp) {
      ways.push((signal) => this.#secure({ ...initiation, byTcp, byUdp: undefined, signal }, unencrypted))
    }
    if (byUdp) ways.push((signal) => this.#secure({ ...initiation, byTcp, byUdp, signal }, unencrypted))
    return firstSuccess(ways, signal, ({ reached }) => void reached.link.close())
  }

  async #secure(initiation: Initiation, unencrypted: 'refuse' | 'accept'): Promise<Met> {
    const { deviceId, signal } = initiation
    const reached = await reachDevice(initiation)
    const { link, companion } = reached
    const cutOff = () => void link.close()
    signal.addEventListener('abort', cutOff)
    try {
      if (signal.aborted) throw new ConnectError('aborted', 'the attempt was given up')
      const stream = new PeerStream(link)
      await shakeHands(stream, this.#verify(reached.signedIdentity, deviceId), unencrypted)
      return { reached, stream }
    } catch (error) {
      await link.close()
      throw error
    } finally {
      signal.removeEventListener('abort', cutOff)
      void companion?.close()
    }
  }

  /** The server learns how long the session lasts. */
  #checkHealth(link: Link): void {
    const { token } = this.#options
    if (!token) return
    const healthCheck = new HealthCheck(this.#network, token)
    const over = link.closed.then(() => healthCheck.close())
    this.#attempts.add(over)
    void over.then(() => this.#attempts.delete(over))
  }

  /** The device's identity, if the configured server vouches for exactly this device. */
  #verify(signedIdentity: Uint8Array, deviceId: string): SignedIdentity | undefined {
    const serverKey = decodeBase64(this.#options.server.key ?? '')
    const identity = serverKey && openIdentity(signedIdentity, serverKey)
    return identity?.id === deviceId ? identity : undefined
  }
}
