import { type OutgoingSessionMessage, passwordProof, type SessionMessage, session } from '@tryst/protocol/session'
import { ConnectError } from './connect-error.ts'
import { PeerSession, type SessionEnd, type SessionPath } from './peer-session.ts'
import type { PeerStream } from './peer-stream.ts'
import { randomInteger } from './random.ts'
import { CLIENT_VERSION } from './stock-client.ts'

export type SessionKind = 'desktop' | 'fileTransfer' | 'terminal'

/** What a controller presents when it logs in. */
export interface Login {
  readonly deviceId: string
  /** Undefined: an empty proof, which asks the person at the device. */
  readonly password: string | undefined
  readonly ownId: string
  readonly ownName: string
  readonly kind: SessionKind
}

/** (docs/protocol.md, closing) */
const KCP_CLOSE_REASON = 'kcp'

/** The controller's side of a session, from behind the handshake on (docs/protocol.md, peer session). */
export class ControllerSession extends PeerSession {
  /** Random and not zero; the same for every attempt to log in. */
  readonly #sessionId = randomInteger(1, 2 ** 48)
  #hash: session.Hash.$Properties | undefined
  #peerInfo: session.PeerInfo.$Properties | undefined
  #login: Promise<void> = Promise.resolve()
  #answerLogin: ((refusal: string | undefined) => void) | undefined

  private constructor(
    stream: PeerStream,
    private readonly login: Login,
    override readonly path: SessionPath,
  ) {
    super(stream)
  }

  /** Begins to read: the device speaks next. */
  static create(stream: PeerStream, login: Login, path: SessionPath): ControllerSession {
    const created = new ControllerSession(stream, login, path)
    created.begin()
    created.#login = created.#nextLogin()
    return created
  }

  /** Resolves when the device has accepted the login. @throws ConnectError when it does not, or the session ended */
  loggedIn(): Promise<void> {
    return this.#login
  }

  get peerInfo(): session.PeerInfo.$Properties | undefined {
    return this.#peerInfo
  }

  /** Another attempt on the same connection, after "Wrong Password". @throws ConnectError as `loggedIn` */
  async retryLogin(password: string): Promise<void> {
    this.#login = this.#nextLogin()
    await this.#sendLogin(password)
    await this.#login
  }

  /** The device's next answer to a login, or the way the session ended before it. */
  #nextLogin(): Promise<void> {
    const login = new Promise<void>((resolve, reject) => {
      this.#answerLogin = (refusal) =>
        refusal === undefined ? resolve() : reject(new LoginRefusedError(refusal, this))
      void this.ended.then((end) => reject(endError(end)))
    })
    login.catch(() => undefined) // Whoever cares waits for it by `loggedIn`.
    return login
  }

  /** Stock controllers end sessions over UDP with a word of their own. */
  override close(reason = this.transport === 'kcp' ? KCP_CLOSE_REASON : ''): Promise<void> {
    return super.close(reason)
  }

  protected override handle(message: SessionMessage): void | Promise<void> {
    if (message.testDelay && !message.testDelay.fromClient) this.stream.send({ testDelay: message.testDelay })
    else if (message.hash) {
      this.#hash = message.hash
      return this.#sendLogin(this.login.password)
    } else if (message.loginResponse) this.#readLoginResponse(message.loginResponse)
  }

  protected override released(): void {
    this.#answerLogin = undefined
  }

  #readLoginResponse({ peerInfo, error }: session.LoginResponse.$Properties): void {
    // Somebody at the device may accept whenever they like, whatever was answered before.
    if (peerInfo) this.#peerInfo = peerInfo
    this.#answerLogin?.(peerInfo ? undefined : (error ?? ''))
    this.#answerLogin = undefined
  }

  async #sendLogin(password: string | undefined): Promise<void> {
    const { salt, challenge } = this.#hash ?? {}
    const proof =
      password === undefined ? new Uint8Array(0) : await passwordProof(password, salt ?? '', challenge ?? '')
    this.stream.send(loginRequest(this.login, proof, this.#sessionId))
  }
}

/** The device did not accept the login. `session` is still open unless the device closed it. */
export class LoginRefusedError extends ConnectError {
  override readonly name = 'LoginRefusedError'

  constructor(
    text: string,
    readonly session: ControllerSession,
  ) {
    super('login', text)
  }
}

function endError(end: SessionEnd): ConnectError {
  switch (end.kind) {
    case 'closedHere':
      return new ConnectError('aborted', 'the session was closed here')
    case 'closedByPeer':
      return new ConnectError('closedByPeer', end.text)
    case 'idle':
      return new ConnectError('closedByPeer', 'Timeout')
    default:
      return new ConnectError('closedByPeer', 'Reset by the peer', 'cause' in end ? { cause: end.cause } : {})
  }
}

const { BoolOption } = session.OptionMessage

function loginRequest(login: Login, password: Uint8Array, sessionId: number): OutgoingSessionMessage {
  const { deviceId, ownId, ownName, kind } = login
  return {
    loginRequest: {
      username: deviceId,
      password,
      myId: ownId,
      myName: ownName,
      sessionId,
      version: CLIENT_VERSION,
      myPlatform: 'Linux',
      ...KIND_FIELDS[kind],
    },
  }
}

/** A desktop session says what it can decode and that it wants the clipboard of files, as a fresh installation does. */
const KIND_FIELDS: Record<SessionKind, session.LoginRequest.$Properties> = {
  desktop: {
    option: {
      enableFileTransfer: BoolOption.Yes,
      supportedDecoding: { abilityVp9: 1, abilityVp8: 1, abilityAv1: 1, i444: { vp9: true, av1: true } },
    },
  },
  fileTransfer: { fileTransfer: {} },
  terminal: { terminal: {}, osLogin: {} },
}
