import { encodeFrame, encodeRendezvous } from '@tryst/protocol'
import type { HalfListener, RelayHalf } from '../src/relay-half.ts'

/** A half without a socket: a test plays the client and the network. */
export class FakeHalf implements RelayHalf {
  readonly source: string
  /** What reached the client, one entry a write; messages in brackets. */
  readonly sent: string[] = []
  sentBytes = 0
  unsentBytes = 0
  isProven = false
  isReading = true
  readLimitBytes = 0
  ending: 'open' | 'ended' | 'closed' | 'destroyed' = 'open'
  /** The network takes nothing while this is so. */
  isStuck = false
  #listener: HalfListener | undefined

  constructor(
    readonly transport: 'tcp' | 'websocket' = 'tcp',
    readonly remote = { ip: '203.0.113.7', port: 50_000 },
  ) {
    this.source = remote.ip
  }

  get hasUnsent(): boolean {
    return this.unsentBytes > 0
  }

  listen(listener: HalfListener): void {
    this.#listener = listener
  }

  prove(): void {
    this.isProven = true
  }

  writeBytes(bytes: Uint8Array): void {
    this.#write(bytes, new TextDecoder().decode(bytes.subarray(0, 100)))
  }

  writeMessage(payload: Uint8Array): void {
    this.#write(payload, `[${new TextDecoder().decode(payload.subarray(0, 100))}]`)
  }

  limitReads(bytes: number): void {
    this.readLimitBytes = bytes
  }

  resume(): void {
    this.isReading = true
  }

  end(): void {
    this.ending = 'ended'
  }

  close(): void {
    if (this.ending !== 'destroyed') this.ending = 'closed'
  }

  destroy(): void {
    this.ending = 'destroyed'
  }

  // What the client does.

  says(bytes: Uint8Array | string): void {
    if (!this.isReading) throw new Error('nobody reads from this half')
    const chunk = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes
    if (this.#listener?.onBytes(chunk) === false) this.isReading = false
  }

  asks(request: { uuid: string; licenceKey?: string; id?: string }): void {
    const message = encodeRendezvous({ requestRelay: request })
    this.says(this.transport === 'tcp' ? encodeFrame(message) : message)
  }

  pings(): void {
    this.#listener?.onActivity()
  }

  /** Takes so much of what waits for it. */
  takes(bytes: number): void {
    this.unsentBytes = Math.max(0, this.unsentBytes - bytes)
    if (this.unsentBytes === 0) this.#listener?.onDrain()
  }

  hangsUp(): void {
    this.#listener?.onEnd()
  }

  vanishes(): void {
    this.#listener?.onClose()
  }

  #write(bytes: Uint8Array, text: string): void {
    this.sent.push(text)
    this.sentBytes += bytes.length
    if (this.isStuck) this.unsentBytes += bytes.length
  }
}
