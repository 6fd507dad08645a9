import { randomInt } from 'node:crypto'
import {
  createBoxKeyPair,
  deviceHello,
  type OutgoingSessionMessage,
  passwordProof,
  readControllerAnswer,
  type SessionMessage,
  type session,
} from '@tryst/protocol/session'
import type { CancelTimer, Clock } from './clock.ts'
import type { DeviceIdentity } from './device-identity.ts'
import type { Link } from './link.ts'
import { countFailure, decideLogin, LOGIN_TEXTS, type LoginFailures, loginScope } from './login.ts'
import { PeerSession, type SessionPath } from './peer-session.ts'
import { PeerStream } from './peer-stream.ts'
import { CLIENT_VERSION, CONNECT_LIMIT_MS, TEST_DELAY_INTERVAL_MS } from './stock-client.ts'

/** What a device session needs from its device. */
export interface SessionHost {
  readonly identity: DeviceIdentity
  readonly clock: Clock
  /** Undefined: no password is right. */
  readonly password: string | undefined
  readonly salt: string
  readonly hostname: string
  /** Failed logins from the controller's address; the device keeps them over sessions. */
  failures: LoginFailures
  /** The password was right: the session begins. */
  authorized(session: DeviceSession): void
  /** The controller could not verify the device's key, which has to be registered anew. */
  keyUnconfirmed(): void
}

/** Stock devices send the first probe 20 to 95 ms after the stream is up, the others every second. */
const FIRST_PROBE_MS = 20
const CHALLENGE_LENGTH = 6
const CHALLENGE_LETTERS = '23456789abcdefghijkmnpqrstuvwxyz'

/** Text as stock devices draw it for salts and challenges. */
export const drawText = (length: number): string =>
  Array.from({ length }, () => CHALLENGE_LETTERS[randomInt(CHALLENGE_LETTERS.length)]).join('')

/** The device's side of a session, from its first message on (docs/protocol.md, peer session). */
export class DeviceSession extends PeerSession {
  readonly #challenge = drawText(CHALLENGE_LENGTH)
  #authorized = false
  #request: session.LoginRequest | undefined
  #scope: string | undefined
  #cancelProbe: CancelTimer | undefined
  /** When the outstanding probe left; undefined: none is outstanding. */
  #probedAtMs: number | undefined
  #lastDelayMs = 0

  private constructor(
    stream: PeerStream,
    private readonly host: SessionHost,
    override readonly path: SessionPath,
  ) {
    super(stream)
  }

  /**
   * Speaks first, waits for the controller's half of the handshake and then for its login. Undefined when the
   * connection ended before the handshake did.
   *
   * @param options.isSecure false: the controller cannot verify the device, so there is no handshake
   */
  static async open(
    link: Link,
    host: SessionHost,
    options: { readonly path: SessionPath; readonly isSecure: boolean },
  ): Promise<DeviceSession | undefined> {
    const stream = new PeerStream(link)
    if (options.isSecure && !(await shakeHands(stream, host))) {
      await link.close()
      return undefined
    }
    const session = new DeviceSession(stream, host, options.path)
    session.#start()
    return session
  }

  get isAuthorized(): boolean {
    return this.#authorized
  }

  /** The login that was accepted, or the last one that was tried. */
  get loginRequest(): session.LoginRequest | undefined {
    return this.#request
  }

  #start(): void {
    const { clock, salt } = this.host
    this.stream.send({ hash: { salt, challenge: this.#challenge } })
    const startedAtMs = clock.now()
    const probeAt = (dueMs: number) => {
      this.#cancelProbe = clock.after(startedAtMs + dueMs - clock.now(), () => {
        this.#probe()
        probeAt(dueMs === FIRST_PROBE_MS ? TEST_DELAY_INTERVAL_MS : dueMs + TEST_DELAY_INTERVAL_MS)
      })
    }
    probeAt(FIRST_PROBE_MS)
    this.begin()
  }

  #probe(): void {
    if (this.isOver || this.#probedAtMs !== undefined) return
    this.#probedAtMs = this.host.clock.now()
    this.stream.send({ testDelay: { lastDelay: this.#lastDelayMs } })
  }

  protected override handle(message: SessionMessage): void | Promise<void> {
    if (message.testDelay) this.#answerTestDelay(message.testDelay)
    else if (message.loginRequest && !this.#authorized) return this.#login(message.loginRequest)
  }

  protected override takeData(bytes: Uint8Array): void | Promise<void> {
    return this.#authorized ? super.takeData(bytes) : undefined
  }

  protected override released(): void {
    this.#cancelProbe?.()
  }

  #answerTestDelay(testDelay: session.TestDelay.$Properties): void {
    if (testDelay.fromClient) this.stream.send({ testDelay })
    else if (this.#probedAtMs !== undefined) {
      this.#lastDelayMs = Math.round(this.host.clock.now() - this.#probedAtMs)
      this.#probedAtMs = undefined
    }
  }

  async #login(properties: session.LoginRequest.$Properties): Promise<void> {
    const request = properties as session.LoginRequest
    const { host } = this
    const expectedProof =
      host.password === undefined ? undefined : await passwordProof(host.password, host.salt, this.#challenge)
    const nowMs = host.clock.now()
    const decision = decideLogin(request, {
      deviceId: host.identity.id,
      firstScope: this.#scope,
      failures: host.failures,
      expectedProof,
      nowMs,
    })
    this.#scope ??= loginScope(request)
    this.#request = request
    switch (decision.kind) {
      case 'wait':
        return
      case 'accept':
        return this.#accept()
      case 'wrongPassword':
        host.failures = countFailure(host.failures, nowMs)
        this.stream.send(loginError(LOGIN_TEXTS.wrongPassword))
        return
      case 'refuse':
        this.stream.send(loginError(decision.text))
        if (decision.closes) this.finish({ kind: 'refused', text: decision.text })
        return
    }
  }

  #accept(): void {
    this.#authorized = true
    this.stream.send({ loginResponse: { peerInfo: peerInfo(this.host.hostname) } })
    this.host.authorized(this)
  }
}

/** False: the connection has to end. */
async function shakeHands(stream: PeerStream, host: SessionHost): Promise<boolean> {
  const { id, secretKey } = host.identity
  const ours = createBoxKeyPair()
  stream.link.send(deviceHello(id, secretKey, ours.publicKey))
  const frame = await stream.link.next(CONNECT_LIMIT_MS)
  if (typeof frame === 'string') return false
  try {
    const { records, keyUnconfirmed } = readControllerAnswer(frame, ours)
    stream.encryptWith(records)
    if (keyUnconfirmed) host.keyUnconfirmed()
    return true
  } catch {
    return false
  }
}

const loginError = (error: string): OutgoingSessionMessage => ({ loginResponse: { error } })

/** A Linux machine with one small screen that shows nothing: enough for every stock controller to count as connected. */
const peerInfo = (hostname: string): session.PeerInfo.$Properties => ({
  username: 'peer',
  hostname,
  platform: 'Linux',
  displays: [
    { width: 64, height: 64, name: 'screen', online: true, originalResolution: { width: 64, height: 64 }, scale: 1 },
  ],
  version: CLIENT_VERSION,
  features: {},
  encoding: {},
  resolutions: {},
})
