import {
  decodeBase64,
  decodeRendezvous,
  type Endpoint,
  encodeRendezvous,
  type OutgoingRendezvousMessage,
  PUBLIC_KEY_BYTES,
  type RendezvousMessage,
} from '@tryst/protocol'
import {
  answerKeyExchange,
  createBoxKeyPair,
  createSessionKey,
  KeyOfferError,
  type KeyOfferFault,
  type RecordLayer,
} from '@tryst/protocol/secure-tcp'
import { type Clock, TIMEOUT } from './clock.ts'
import type { Dialler } from './dialler.ts'
import { ENDED } from './inbox.ts'
import type { Link, LinkTransport } from './link.ts'
import type { LinkRegistry } from './link-registry.ts'
import { type HostPort, idServer, type ServerSettings, webSocketUrl } from './service-address.ts'
import { CONNECT_LIMIT_MS, REACHABILITY_LIMIT_MS } from './stock-client.ts'

/** How a peer reaches its servers. */
export interface Network {
  readonly server: ServerSettings
  readonly dialler: Dialler
  /** `websocket`: the client's WebSocket mode, in which it relays every session. */
  readonly transport: LinkTransport
  readonly clock: Clock
  /** Address that all sockets are bound to. Default: any. */
  readonly localAddress?: string | undefined
  /** Where links are noted that are to be closed with their peer. */
  readonly links?: LinkRegistry | undefined
}

export interface OpenOptions {
  readonly limitMs?: number
  readonly localPort?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Connects to a service of the ID server or to a relay, by the transport of this network. @throws LinkError */
export async function openLink(network: Network, target: HostPort, options: OpenOptions = {}): Promise<Link> {
  const { server, transport, dialler } = network
  const dial = dialOptions(network, { limitMs: CONNECT_LIMIT_MS, ...options })
  const link =
    transport === 'websocket'
      ? await dialler.webSocket(webSocketUrl(target, server), dial)
      : await dialler.tcp(target, dial)
  return network.links?.add(link) ?? link
}

/** Where the ID server is; an empty connection tells, of the kind that also tells which address family works. */
export async function findServer(network: Network, signal: AbortSignal): Promise<Endpoint | undefined> {
  const options = { limitMs: REACHABILITY_LIMIT_MS, signal }
  const link = await openLink({ ...network, transport: 'tcp' }, idServer(network.server), options).catch(
    () => undefined,
  )
  void link?.close()
  return link?.remote
}

/** Connects to a peer itself: by TCP, to an address. @throws LinkError */
export async function openDirectLink(
  network: Network,
  target: Endpoint,
  options: OpenOptions & { readonly limitMs: number },
): Promise<Link> {
  const link = await network.dialler.tcp({ host: target.ip, port: target.port }, dialOptions(network, options))
  return network.links?.add(link) ?? link
}

const dialOptions = ({ clock, localAddress }: Network, options: OpenOptions & { readonly limitMs: number }) => ({
  clock,
  localAddress,
  ...options,
})

/** What `RendezvousLink.receive` gives: a message, or why there is none. `unreadable`: an empty or foreign frame. */
export type Answer = RendezvousMessage | typeof ENDED | typeof TIMEOUT | 'unreadable'

/** Names of the messages: the members of the envelope. */
type Kind = NonNullable<RendezvousMessage['union']>

/** No secure connection to the ID server; the message is the text of stock clients. */
export class SecureTcpError extends Error {
  override readonly name = 'SecureTcpError'
}

const OFFER_FAULTS: Record<KeyOfferFault, string> = {
  number: 'Handshake failed: invalid key exchange message',
  signature: 'Signature mismatch in key exchange',
  length: 'Wrong their public length in key exchange',
}

/** A link on which messages of the ID server's protocol travel, one in each payload. */
export class RendezvousLink {
  #records: RecordLayer | undefined

  constructor(readonly link: Link) {}

  /** Connects; when `options.signal` is aborted later, the link is closed. @throws LinkError */
  static async open(network: Network, target: HostPort, options: OpenOptions = {}): Promise<RendezvousLink> {
    const { signal } = options
    const link = await openLink(network, target, options)
    if (signal) {
      const close = () => void link.close()
      signal.addEventListener('abort', close)
      void link.closed.then(() => signal.removeEventListener('abort', close))
      if (signal.aborted) close()
    }
    return new RendezvousLink(link)
  }

  /** The server and this client have agreed on a key. */
  get isEncrypted(): boolean {
    return this.#records !== undefined
  }

  /**
   * Waits for the server's offer of encryption and takes it (docs/protocol.md, secure TCP). Like stock clients it goes
   * on in clear text where anything else comes first, which is lost, and does nothing on a WebSocket.
   *
   * @param serverKey the configured one
   * @throws SecureTcpError
   */
  async secure(serverKey: string): Promise<void> {
    if (this.link.transport === 'websocket') return
    const publicKey = decodeBase64(serverKey)
    if (publicKey?.length !== PUBLIC_KEY_BYTES) {
      throw new SecureTcpError('Handshake failed: invalid public key from rendezvous server')
    }
    const first = await this.link.next(CONNECT_LIMIT_MS)
    if (first === ENDED) return
    if (first === TIMEOUT) throw new SecureTcpError('deadline has elapsed')
    try {
      const agreed = answerKeyExchange(first, publicKey, createBoxKeyPair(), createSessionKey())
      if (!agreed) return
      this.link.send(agreed.answer)
      this.#records = agreed.records
    } catch (cause) {
      const text = cause instanceof KeyOfferError ? OFFER_FAULTS[cause.fault] : (cause as Error).message
      throw new SecureTcpError(text, { cause })
    }
  }

  send(message: OutgoingRendezvousMessage): void {
    const payload = encodeRendezvous(message)
    this.link.send(this.#records ? this.#records.seal(payload) : payload)
  }

  async receive(limitMs: number): Promise<Answer> {
    const payload = await this.link.next(limitMs)
    return payload === ENDED || payload === TIMEOUT ? payload : this.read(payload)
  }

  /** The next message, which has to be of this kind. @throws Error that says what came instead */
  async expect<K extends Kind>(kind: K, limitMs = CONNECT_LIMIT_MS): Promise<NonNullable<RendezvousMessage[K]>> {
    const answer = await this.receive(limitMs)
    const member = isMessage(answer) ? answer[kind] : undefined
    if (member) return member
    throw new Error(`${kind} was expected, not ${isMessage(answer) ? (answer.union ?? 'an unknown message') : answer}`)
  }

  /** Reads a payload that was taken from the link itself; a record that does not open ends the link. */
  read(payload: Uint8Array): RendezvousMessage | typeof ENDED | 'unreadable' {
    if (payload.length === 0) return 'unreadable'
    let plain = payload
    try {
      if (this.#records) plain = this.#records.open(payload)
    } catch {
      void this.link.close()
      return ENDED
    }
    try {
      return decodeRendezvous(plain)
    } catch {
      return 'unreadable'
    }
  }

  /**
   * The next message, skipping one offer of encryption (docs/protocol.md, KeyExchange): paths without a handshake
   * read like this, and wait the whole limit again behind the offer.
   */
  async receiveSkippingKeyExchange(limitMs: number): Promise<Answer> {
    const answer = await this.receive(limitMs)
    return isMessage(answer) && answer.union === 'keyExchange' ? this.receive(limitMs) : answer
  }

  close(): Promise<void> {
    return this.link.close()
  }
}

export const isMessage = (answer: Answer): answer is RendezvousMessage => typeof answer === 'object'
