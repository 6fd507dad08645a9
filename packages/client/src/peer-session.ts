import type { OutgoingSessionMessage, SessionMessage } from '@tryst/protocol/session'
import { dataBlocks, dataIn, dataMessage } from './data-channel.ts'
import type { PeerStream, PeerStreamEnd } from './peer-stream.ts'
import { SESSION_IDLE_LIMIT_MS } from './stock-client.ts'

/** How the controller reached the device. */
export type SessionPath = 'direct' | 'relay'

/** The same, with what carries a direct session; `ipv6`: KCP over IPv6, where no hole had to be found by the server. */
export type SessionRoute = 'tcp' | 'udp' | 'ipv6' | 'relay'

/** Why a session is over. `text`: what the other side gave as its reason. */
export type SessionEnd =
  | { readonly kind: 'closedHere' }
  | { readonly kind: 'closedByPeer'; readonly text: string }
  | { readonly kind: 'ended' }
  | { readonly kind: 'idle' }
  | { readonly kind: 'refused'; readonly text: string }
  | { readonly kind: 'broken'; readonly cause: Error | undefined }

/** Takes the other side's bytes. While the promise it returns is pending, nothing more is read from the link. */
export type DataHandler = (bytes: Uint8Array) => void | Promise<void>

const END_OF_STREAM: Record<PeerStreamEnd, (cause: Error | undefined) => SessionEnd> = {
  ended: () => ({ kind: 'ended' }),
  timeout: () => ({ kind: 'idle' }),
  broken: (cause) => ({ kind: 'broken', cause }),
}

/** What both sides of a session have in common: the data channel, the reading loop and the end. */
export abstract class PeerSession {
  /** Set this before the other side sends. Bytes that nobody takes are dropped. */
  onData: DataHandler | undefined
  /** Sees every message behind the handshake, the data channel's too; for tests and traces. */
  onMessage: ((message: SessionMessage) => void) | undefined
  /** Resolves when the session is over and its socket gone; never rejects. */
  readonly ended: Promise<SessionEnd>
  readonly #resolveEnded: (end: Promise<SessionEnd>) => void
  #end: SessionEnd | undefined

  constructor(protected readonly stream: PeerStream) {
    const { promise, resolve } = Promise.withResolvers<SessionEnd>()
    this.ended = promise
    this.#resolveEnded = resolve
  }

  get isEncrypted(): boolean {
    return this.stream.isEncrypted
  }

  get transport(): 'tcp' | 'websocket' | 'kcp' {
    return this.stream.link.transport
  }

  /** Sends bytes of the application. Resolves when the link takes more: memory stays bounded by one call at a time. */
  async write(bytes: Uint8Array): Promise<void> {
    for (const block of dataBlocks(bytes)) {
      if (this.#end) throw new Error(`the session is over (${this.#end.kind}); nothing more can be sent`)
      if (!this.stream.send(dataMessage(block))) await this.stream.link.drained()
    }
  }

  /** Sends any message of the session protocol. False when it waits in memory. */
  send(message: OutgoingSessionMessage): boolean {
    return this.stream.send(message)
  }

  /** Ends the session in order: the other side is told `reason`, which may be empty. */
  async close(reason = ''): Promise<void> {
    if (!this.#end) {
      this.stream.send({ misc: { closeReason: reason } })
      this.finish({ kind: 'closedHere' })
    }
    await this.stream.link.close()
  }

  /** Cuts the connection without a word, as a crash does. */
  async abandon(): Promise<void> {
    this.finish({ kind: 'closedHere' })
    await this.stream.link.close()
  }

  get route(): SessionRoute {
    const { transport, remote } = this.stream.link
    if (this.path === 'relay') return 'relay'
    if (transport !== 'kcp') return 'tcp'
    return remote.ip.includes(':') ? 'ipv6' : 'udp'
  }

  protected get isOver(): boolean {
    return this.#end !== undefined
  }

  /** Ends the session; the first reason counts. What was sent before still leaves. */
  protected finish(end: SessionEnd): void {
    if (this.#end) return
    this.#end = end
    this.released()
    this.#resolveEnded(this.stream.link.close().then(() => end))
  }

  protected begin(): void {
    this.#read().catch((cause: unknown) => this.finish({ kind: 'broken', cause: cause as Error }))
  }

  abstract readonly path: SessionPath
  protected abstract handle(message: SessionMessage): void | Promise<void>
  /** The session is over: timers end here. */
  protected abstract released(): void

  async #read(): Promise<void> {
    while (!this.#end) {
      const message = await this.stream.next(SESSION_IDLE_LIMIT_MS)
      if (this.#end) return
      if (typeof message === 'string') return this.finish(END_OF_STREAM[message](this.stream.failure))
      this.onMessage?.(message)
      await this.#dispatch(message)
    }
  }

  async #dispatch(message: SessionMessage): Promise<void> {
    const data = dataIn(message)
    if (data) await this.takeData(data)
    else if (message.misc?.union === 'closeReason') {
      this.finish({ kind: 'closedByPeer', text: message.misc.closeReason ?? '' })
    } else await this.handle(message)
  }

  protected takeData(bytes: Uint8Array): void | Promise<void> {
    return this.onData?.(bytes)
  }
}
