import type { Socket } from 'node:net'
import type { Endpoint } from '@tryst/protocol'
import type { WebSocket } from 'ws'
import { closeSoftly } from './soft-close.ts'
import { UnsentCount } from './unsent-count.ts'
import type { Upgraded } from './websocket-upgrades.ts'

/** A client that does not read is not answered pings without end. */
const MAX_UNSENT_FOR_PONG_BYTES = 64 * 1024
/** Answers that wait for a client which does not read; with more its connection is ended. */
const MAX_UNSENT_BYTES = 256 * 1024

export interface WebSocketConnectionListener {
  /** One binary message. */
  onMessage(connection: WebSocketConnection, payload: Uint8Array): void
  /** A text, ping or pong message: the client lives, no more. */
  onActivity(connection: WebSocketConnection): void
  /** It may be idle from now on. */
  onKeep(connection: WebSocketConnection): void
  onClose(connection: WebSocketConnection): void
}

/** A WebSocket connection of the ID server, seen as whole messages. */
export class WebSocketConnection {
  readonly transport = 'websocket'
  /** The client's real address; port 0 when a proxy hides it. */
  readonly remote: Endpoint
  readonly #webSocket: WebSocket
  readonly #socket: Socket
  readonly #unsent: UnsentCount
  readonly #listener: WebSocketConnectionListener
  #isClosing = false

  constructor({ webSocket, socket, remote }: Upgraded, listener: WebSocketConnectionListener) {
    this.remote = remote
    this.#webSocket = webSocket
    this.#socket = socket
    this.#unsent = new UnsentCount(socket)
    this.#listener = listener
    webSocket.on('message', (data: Buffer, isBinary) => this.#receive(data, isBinary))
    webSocket.on('ping', (data) => this.#answerPing(data))
    webSocket.on('pong', () => listener.onActivity(this))
    // A message that breaks the rules; ws has told the client so and reads no further.
    webSocket.on('error', () => this.close())
    webSocket.on('close', () => listener.onClose(this))
  }

  get isClosed(): boolean {
    return this.#isClosing || !this.#socket.writable
  }

  get unsentBytes(): number {
    return this.#unsent.bytes
  }

  send(payload: Uint8Array): void {
    if (!this.#socket.writable) return
    if (this.unsentBytes > MAX_UNSENT_BYTES) return this.destroy()
    this.#webSocket.send(payload)
    this.#unsent.wrote()
  }

  /** It may be idle from now on. May be called twice. */
  keep(): void {
    this.#listener.onKeep(this)
  }

  /** Ends the connection after what was sent has left, without a close message. */
  close(): void {
    if (this.#isClosing) return
    this.#isClosing = true
    closeSoftly(this.#socket)
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#isClosing = true
    this.#socket.destroy()
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.#isClosing) return
    if (isBinary) this.#listener.onMessage(this, data)
    else this.#listener.onActivity(this)
  }

  #answerPing(data: Buffer): void {
    if (this.#isClosing || !this.#socket.writable) return
    this.#listener.onActivity(this)
    if (this.unsentBytes >= MAX_UNSENT_FOR_PONG_BYTES) return
    this.#webSocket.pong(data)
    this.#unsent.wrote()
  }
}
