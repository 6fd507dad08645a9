import type { Socket } from 'node:net'
import type { Endpoint } from '@tryst/protocol'
import type { HalfListener, RelayHalf } from '@tryst/relay'
import { sourcePrefix } from '@tryst/rendezvous'
import type { WebSocket } from 'ws'
import type { HalfGuard } from './half-guard.ts'
import { NOBODY } from './nobody.ts'
import { closeSoftly } from './soft-close.ts'
import { FirstMessageLimit } from './websocket-message-limit.ts'
import type { Upgraded } from './websocket-upgrades.ts'

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

  constructor(
    { webSocket, socket, remote }: Upgraded,
    { guard, firstMessageMaxBytes }: { readonly guard: HalfGuard; readonly firstMessageMaxBytes: number },
  ) {
    this.remote = remote
    this.source = sourcePrefix(remote.ip)
    this.#webSocket = webSocket
    this.#socket = socket
    this.#guard = guard
    this.#watchFirstMessage(firstMessageMaxBytes)
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
    if (!this.#isClosing) this.#listener = listener
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
