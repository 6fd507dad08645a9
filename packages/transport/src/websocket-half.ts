import type { Socket } from 'node:net'
import type { Endpoint } from '@tryst/protocol'
import type { HalfListener, RelayHalf } from '@tryst/relay'
import { sourcePrefix } from '@tryst/rendezvous'
import type { WebSocket } from 'ws'
import { releaseSocket } from './given-socket.ts'
import type { HalfGuard } from './half-guard.ts'
import { NOBODY } from './nobody.ts'
import type { SocketHandle } from './socket-reading.ts'
import { closeSoftly } from './soft-close.ts'
import { FirstMessageLimit } from './websocket-message-limit.ts'
import type { Upgraded } from './websocket-upgrades.ts'

/** What may be sent ahead by one that is given away; of others less is read until they have a partner. */
const MAX_REMEMBERED_BYTES = 256 * 1024

/** A client that does not read is not answered pings without end. */
const MAX_UNSENT_FOR_PONG_BYTES = 64 * 1024

/** One side of a relay session over a WebSocket. */
export class WebSocketHalf implements RelayHalf {
  readonly transport = 'websocket'
  readonly remote: Endpoint
  readonly source: string
  readonly #webSocket: WebSocket
  readonly #socket: Socket
  readonly #guard: HalfGuard
  #listener: HalfListener = NOBODY
  #isClosing = false
  #hasEnded = false
  /** All that came since the upgrade, while the half may be given away. */
  #received: Buffer[] | undefined
  #receivedBytes = 0
  /** The first is for the time until it has a partner. */
  #listeners = 0
  readonly wasGiven: boolean

  constructor(
    { webSocket, socket, remote, wasGiven }: Upgraded,
    {
      guard,
      firstMessageMaxBytes,
      mayBeGiven = false,
    }: { readonly guard: HalfGuard; readonly firstMessageMaxBytes: number; readonly mayBeGiven?: boolean },
  ) {
    this.remote = remote
    this.source = sourcePrefix(remote.ip)
    this.#webSocket = webSocket
    this.#socket = socket
    this.#guard = guard
    this.wasGiven = wasGiven
    this.#watchFirstMessage(firstMessageMaxBytes)
    if (mayBeGiven && !wasGiven) {
      this.#received = []
      socket.prependListener('data', this.#remember)
    }
    webSocket.on('message', (data: Buffer, isBinary) => this.#receive(data, isBinary))
    webSocket.on('ping', (data) => this.#answerPing(data))
    webSocket.on('pong', () => this.#listener.onActivity())
    // A message that breaks the rules; ws has told the client so and reads no further.
    webSocket.on('error', () => this.#ended())
    webSocket.on('close', () => this.#closed())
    // Without a close message the stream just ends; with one, ws answers it and then ends our side.
    socket.on('end', () => this.#ended())
    socket.on('finish', () => this.#ended())
  }

  get hasUnsent(): boolean {
    return this.#socket.writableLength > 0
  }

  get unsentBytes(): number {
    return this.#socket.writableLength
  }

  listen(listener: HalfListener): void {
    if (this.#isClosing) return
    this.#listener = listener
    if (++this.#listeners > 1) this.#forget()
  }

  prove(): void {
    this.#guard.prove(this)
  }

  /** Never asked for: only TCP halves are paired as plain streams. */
  writeBytes(bytes: Uint8Array): void {
    this.writeMessage(bytes)
  }

  writeMessage(payload: Uint8Array): void {
    if (this.#socket.writable) this.#webSocket.send(payload, this.#onSent)
  }

  limitReads(): void {
    // Messages are read whole.
  }

  resume(): void {
    this.#webSocket.resume()
  }

  /** Ends the stream, without a close message: clients expect none of the relay. */
  end(): void {
    this.#hasEnded = true
    this.#socket.end()
  }

  close(): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#listener = NOBODY
    closeSoftly(this.#socket)
    this.#webSocket.resume()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /**
   * Gives the connection away, with all that came on it: nothing more is read or told, until `destroy` ends this process'
   * share in it. Undefined: it stays what it is.
   */
  release(): { readonly handle: SocketHandle; readonly received: Buffer } | undefined {
    if (this.#isClosing || this.#hasEnded || !this.#received) return undefined
    const handle = releaseSocket(this.#socket)
    // What Node had read already may have been the end, or too much.
    const received = this.#hasEnded ? undefined : this.#received
    if (!handle || !received) {
      this.#webSocket.resume()
      return undefined
    }
    this.#isClosing = true
    this.#listener = NOBODY
    this.#forget()
    return { handle, received: Buffer.concat(received) }
  }

  /** In a copy: ws takes the mask off in place. */
  readonly #remember = (chunk: Buffer): void => {
    this.#receivedBytes += chunk.length
    if (this.#receivedBytes > MAX_REMEMBERED_BYTES) this.#forget()
    else this.#received?.push(Buffer.from(chunk))
  }

  #forget(): void {
    if (!this.#received) return
    this.#received = undefined
    this.#socket.off('data', this.#remember)
  }

  readonly #onSent = (): void => {
    if (!this.hasUnsent) this.#listener.onDrain()
  }

  #watchFirstMessage(maxBytes: number): void {
    const limit = new FirstMessageLimit(maxBytes)
    const watch = (chunk: Buffer) => {
      const verdict = limit.push(chunk)
      if (verdict === 'more') return
      this.#socket.off('data', watch)
      if (verdict === 'done') return
      this.#listener.onOversized()
      this.close()
    }
    this.#socket.prependListener('data', watch)
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (!isBinary) this.#listener.onActivity()
    else if (!this.#listener.onBytes(data)) this.#webSocket.pause()
  }

  #answerPing(data: Buffer): void {
    this.#listener.onActivity()
    if (this.#isClosing || !this.#socket.writable) return
    if (this.#socket.writableLength < MAX_UNSENT_FOR_PONG_BYTES) this.#webSocket.pong(data)
  }

  #ended(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#listener.onEnd()
  }

  #closed(): void {
    this.#guard.remove(this)
    this.#listener.onClose()
  }
}
