import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { DeviceAnswer, NodeId, PeerId, PushOutcome } from '@tryst/rendezvous'
import { DialError, dial } from './dial.ts'
import { NodeUnreachableError, type UnreachableReason } from './errors.ts'
import { decodeIdentity, decodePushOutcome, encodeDeviceAnswer, type Question } from './frames.ts'
import type { link } from './generated/link.js'
import { encodeWelcome, PROTOCOL_VERSION, type Self } from './greeting.ts'
import { Link } from './link.ts'
import { printable } from './link-key.ts'
import { Listener } from './listener.ts'
import { formatAddress } from './node-address.ts'
import { DEFAULT_NODE_LINK_LIMITS, type NodeLinkLimits, type NodeLinkOptions } from './node-link-options.ts'
import type { LinkTarget, RecalledIdentity, StreamOpening } from './node-questions.ts'
import { OnceAMinute } from './once-a-minute.ts'
import { Peer } from './peer.ts'
import { type ClientTlsOptions, clientTlsOptions, makeLinkKey } from './tls-psk.ts'
import { Turns } from './turns.ts'

/** Ids in one question `holds`: far below the longest message. */
const IDS_PER_QUESTION = 500
/** Nodes that are remembered although nothing is going on with them. */
const MAX_IDLE_PEERS = 256

/**
 * This node's connections to the other nodes of its server. Every question is answered, or rejects with
 * NodeUnreachableError within 200 ms; nothing is then known of what the other node did.
 */
export class NodeLinks {
  readonly #options: NodeLinkOptions
  readonly #limits: NodeLinkLimits
  readonly #self: Self
  readonly #tls: ClientTlsOptions
  readonly #listener: Listener
  readonly #peers = new Map<string, Peer>()
  readonly #openings: Turns
  readonly #told = new OnceAMinute()
  #isClosed = false

  private constructor(
    options: NodeLinkOptions,
    own: { limits: NodeLinkLimits; self: Self; listener: Listener; tls: ClientTlsOptions },
  ) {
    this.#options = options
    this.#limits = own.limits
    this.#self = own.self
    this.#listener = own.listener
    this.#tls = own.tls
    this.#openings = new Turns(own.limits.maxOpeningStreams, own.limits.maxWaitingStreams)
  }

  /** Listens for other nodes. @throws the listen error of Node */
  static async open(options: NodeLinkOptions): Promise<NodeLinks> {
    const { incarnation, events } = options
    const limits = { ...DEFAULT_NODE_LINK_LIMITS, ...options.limits }
    const name = printable(options.name)
    const self: Self = {
      ...(options.protocolVersion ?? PROTOCOL_VERSION),
      program: printable(options.version),
      incarnation,
      name,
    }
    const key = makeLinkKey(options.secretKey, name)
    const told = new OnceAMinute()
    const listener = await Listener.open({
      ...options.listen,
      key,
      self,
      limits,
      onNode: (socket, greeting) => links.#welcome(socket, greeting),
      onRefused: (source, reason, claims) => {
        if (told.admits(`${source} ${reason}`)) events.refused(source, reason, claims)
      },
      onError: (error) => events.unreachable('listener', error.message, error),
    })
    const links = new NodeLinks(options, { limits, self, listener, tls: clientTlsOptions(key) })
    return links
  }

  /** `host:port` where other nodes reach this one, as far as it listens on one address. */
  get address(): string {
    return this.#listener.address
  }

  async push(node: LinkTarget, id: PeerId, message: Uint8Array, attempt?: number): Promise<PushOutcome> {
    const push = attempt === undefined ? { id, message } : { id, message, attempt }
    const { pushed } = await this.#ask(node, { push })
    return known(node, pushed?.outcome == null ? undefined : decodePushOutcome(pushed.outcome))
  }

  /** This node holds the device under this version. */
  async forget(node: LinkTarget, id: PeerId, version: number): Promise<void> {
    known(node, (await this.#ask(node, { forget: { id, version } })).done)
  }

  /** For each id the IP that the node hears the device from. */
  async holds(node: LinkTarget, ids: readonly PeerId[]): Promise<readonly (string | undefined)[]> {
    const asked: Promise<readonly (string | undefined)[]>[] = []
    for (let at = 0; at < ids.length; at += IDS_PER_QUESTION)
      asked.push(this.#holds(node, ids.slice(at, at + IDS_PER_QUESTION)))
    return (await Promise.all(asked)).flat()
  }

  async answer(node: LinkTarget, answer: DeviceAnswer): Promise<boolean> {
    return known(node, (await this.#ask(node, { deviceAnswer: encodeDeviceAnswer(answer) })).yesNo).yes ?? false
  }

  /** The device that the node introduced the session for within the last minute. */
  async ticketFor(node: LinkTarget, uuid: string): Promise<string | undefined> {
    return known(node, (await this.#ask(node, { ticketFor: { uuid } })).ticket).device || undefined
  }

  /** Whether the node can use the shared store. */
  async hasStore(node: LinkTarget): Promise<boolean> {
    return known(node, (await this.#ask(node, { hasStore: {} })).yesNo).yes ?? false
  }

  /** What the node remembers of a device. */
  async recall(node: LinkTarget, id: PeerId): Promise<RecalledIdentity | undefined> {
    return decodeIdentity(known(node, (await this.#ask(node, { identityOf: { id } })).identity))
  }

  /** Whether a device is online on the node at this address, for IPv6 in its /64. */
  async hasDeviceInNetwork(node: LinkTarget, ip: string): Promise<boolean> {
    return known(node, (await this.#ask(node, { hasDevice: { ip } })).yesNo).yes ?? false
  }

  /** The device was removed or has another id. */
  async dismiss(node: LinkTarget, id: PeerId): Promise<void> {
    known(node, (await this.#ask(node, { dismiss: { id } })).done)
  }

  /**
   * A connection of its own to a half that waits on another node: what is written arrives there as it is, one direction
   * may end before the other, a slow reader holds the writer back. It is paused and belongs to the caller.
   *
   * @throws NodeUnreachableError within 2 s
   */
  async openStream(node: LinkTarget, opening: StreamOpening): Promise<Duplex | 'gone'> {
    this.#checkTarget(node)
    const startMs = performance.now()
    const { streamDeadlineMs } = this.#limits
    if (!(await this.#openings.take(streamDeadlineMs))) throw new NodeUnreachableError(node.address, 'queue-full')
    try {
      this.#checkTarget(node)
      const deadlineMs = startMs + streamDeadlineMs - performance.now()
      const { socket } = await dial({ target: node, stream: opening, self: this.#self, tls: this.#tls, deadlineMs })
      return socket
    } catch (error) {
      if (!(error instanceof DialError)) throw error
      if (error.reason === 'gone') return 'gone'
      throw this.#unreachable(node.address, error.reason, error.cause)
    } finally {
      this.#openings.end()
    }
  }

  /**
   * Frees the port and ends the links; questions on their way reject. Streams belong to whoever has them and go on. May be
   * called twice.
   */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#listener.close()
    for (const peer of this.#peers.values()) peer.close()
    this.#peers.clear()
  }

  async #ask(node: LinkTarget, question: Question): Promise<link.Frame> {
    this.#checkTarget(node)
    const peer = this.#peerOf(node.incarnation, node.address)
    peer.address = node.address
    return peer.ask(question)
  }

  async #holds(node: LinkTarget, ids: readonly PeerId[]): Promise<readonly (string | undefined)[]> {
    const ips = known(node, (await this.#ask(node, { holds: { ids: ids as PeerId[] } })).heardFrom).ips ?? []
    return ids.map((_, at) => ips[at] || undefined)
  }

  #checkTarget(node: LinkTarget): void {
    if (this.#isClosed) throw new NodeUnreachableError(node.address, 'closed')
    if (node.incarnation === this.#self.incarnation) throw new NodeUnreachableError(node.address, 'myself')
  }

  #peerOf(incarnation: string, address: string): Peer {
    const known = this.#peers.get(incarnation)
    if (known) return known
    if (this.#peers.size >= MAX_IDLE_PEERS) {
      for (const [other, { isIdle }] of this.#peers) if (isIdle) this.#peers.delete(other)
    }
    const peer = new Peer(address, this.#limits, (it) => this.#connect(incarnation as NodeId, it))
    this.#peers.set(incarnation, peer)
    return peer
  }

  /** Undefined: the peer has a link. */
  async #connect(incarnation: NodeId, peer: Peer): Promise<UnreachableReason | undefined> {
    const target = { incarnation, address: peer.address }
    const { proofDeadlineMs } = this.#limits
    try {
      const { socket, welcome } = await dial({
        target,
        stream: undefined,
        self: this.#self,
        tls: this.#tls,
        deadlineMs: proofDeadlineMs,
      })
      if (this.#isClosed) {
        socket.destroy()
        return 'closed'
      }
      this.#attach(peer, socket, welcome, 'dialled')
      return undefined
    } catch (error) {
      if (!(error instanceof DialError)) throw error
      // Only a stream is answered so.
      const reason = error.reason === 'gone' ? 'connect-failed' : error.reason
      this.#unreachable(target.address, reason, error.cause)
      return reason
    }
  }

  #welcome(socket: TLSSocket, greeting: link.Greeting): void {
    if (this.#isClosed) {
      socket.destroy()
      return
    }
    if (greeting.stream) {
      const { uuid, half, webSocket } = greeting.stream
      this.#offer(socket, { uuid: uuid ?? '', half: half ?? '', webSocket: webSocket ?? false })
      return
    }
    socket.write(encodeWelcome(this.#self, 'accepted'))
    const address = formatAddress(socket.remoteAddress ?? '', socket.remotePort ?? 0)
    this.#attach(this.#peerOf(greeting.incarnation, address), socket, greeting, 'accepted')
  }

  /** The half that is asked for may write as soon as it has the stream, and "accepted" has to leave before that. */
  #offer(socket: TLSSocket, opening: StreamOpening): void {
    const welcome = encodeWelcome(this.#self, 'accepted')
    socket.cork()
    socket.write(welcome)
    const isTaken = this.#options.onStream(opening, socket)
    if (!isTaken) {
      // Nothing has left yet: what was held back becomes a refusal of the same length.
      welcome.set(encodeWelcome(this.#self, 'gone'))
      socket.resume()
      socket.uncork()
      socket.destroySoon()
      return
    }
    socket.uncork()
  }

  #attach(peer: Peer, socket: TLSSocket, other: Self, how: 'dialled' | 'accepted'): void {
    const node = {
      incarnation: other.incarnation,
      name: printable(other.name),
      version: printable(other.program),
      address: formatAddress(socket.remoteAddress ?? '', socket.remotePort ?? 0),
    }
    const { handle, events } = this.#options
    const link = new Link(socket, node, how, {
      questions: handle,
      limits: this.#limits,
      onAnswer: (id, answer) => peer.answered(id, answer),
      onEnd: (ended, end) => {
        peer.detach(ended, end)
        events.lost(node, end)
      },
    })
    events.opened(node, how)
    peer.attach(link)
  }

  #unreachable(address: string, reason: UnreachableReason, cause: unknown): NodeUnreachableError {
    if (this.#told.admits(`${address} ${reason}`)) this.#options.events.unreachable(address, reason, cause)
    return new NodeUnreachableError(address, reason, { cause })
  }
}

/** An answer of a kind that the question does not have comes from a node that we do not understand. */
function known<T>(node: LinkTarget, answer: T | null | undefined): T {
  if (answer === null || answer === undefined) throw new NodeUnreachableError(node.address, 'not-understood')
  return answer
}
