import type { Duplex } from 'node:stream'
import { type Endpoint, frameHeader } from '@tryst/protocol'
import type { HalfListener, RelayHalf } from '@tryst/relay'
import { NOBODY } from './nobody.ts'
import { closeSoftly } from './soft-close.ts'

/** No list has it: other relays are neither blocked nor slowed down. */
const NOWHERE: Endpoint = Object.freeze({ ip: '', port: 0 })

/**
 * The half of a session that has come to another relay, at the end of a stream from there. The stream carries what a
 * client's TCP connection would: it is paired as such, and slow receivers make it wait as such.
 */
export class StreamHalf implements RelayHalf {
  readonly transport = 'tcp'
  readonly remote = NOWHERE
  readonly source = ''
  readonly #stream: Duplex
  #listener: HalfListener = NOBODY
  #isClosing = false

  /** @param stream nothing has been read from it yet but what is not for us; it stays open for the other direction when one ends */
  constructor(stream: Duplex) {
    this.#stream = stream
    stream.allowHalfOpen = true
    stream.on('error', ignoreReset)
    stream.on('end', () => this.#listener.onEnd())
    stream.on('close', () => this.#listener.onClose())
  }

  get hasUnsent(): boolean {
    return this.#stream.writableLength > 0
  }

  get unsentBytes(): number {
    return this.#stream.writableLength
  }

  listen(listener: HalfListener): void {
    if (this.#isClosing) return
    const isFirst = this.#listener === NOBODY
    this.#listener = listener
    if (!isFirst) return
    // It may have ended while nobody listened.
    if (this.#stream.destroyed) queueMicrotask(() => this.#listener.onClose())
    else this.#stream.on('data', this.#receive).resume()
  }

  prove(): void {}

  writeBytes(bytes: Uint8Array): void {
    if (this.#stream.writable) this.#stream.write(bytes, this.#onSent)
  }

  writeMessage(payload: Uint8Array): void {
    const stream = this.#stream
    if (!stream.writable) return
    stream.cork()
    stream.write(frameHeader(payload.length))
    stream.write(payload, this.#onSent)
    stream.uncork()
  }

  limitReads(): void {
    // A stream has no such means; what it reads at once is bounded by itself.
  }

  resume(): void {
    if (!this.#isClosing) this.#stream.resume()
  }

  end(): void {
    this.#stream.end()
  }

  close(): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#listener = NOBODY
    closeSoftly(this.#stream)
    // What is still sent here is thrown away, so that the other side sees an end and not a reset.
    this.#stream.resume()
  }

  destroy(): void {
    this.#stream.destroy()
  }

  readonly #receive = (bytes: Buffer): void => {
    if (!this.#listener.onBytes(bytes)) this.#stream.pause()
  }

  /** `drain` is told only of streams that were written to beyond their mark. */
  readonly #onSent = (): void => {
    if (!this.hasUnsent) this.#listener.onDrain()
  }
}

/** 'close' follows and says all there is to say. */
const ignoreReset = () => undefined
