import { type Clock, TIMEOUT } from './clock.ts'

/** The other side has ended the stream, or it broke. */
export const ENDED = 'ended'

export type Received = Uint8Array | typeof ENDED | typeof TIMEOUT

/** Payloads beyond this wait in the socket, whose flow is paused. */
const HIGH_WATER_BYTES = 1 << 20

/** Received payloads in order, taken one by one; pauses the source while nobody takes them. */
export class Inbox {
  readonly #payloads: Uint8Array[] = []
  #bytes = 0
  #paused = false
  #ended = false
  #waiting: ((received: Uint8Array | typeof ENDED) => void) | undefined

  constructor(
    private readonly clock: Clock,
    private readonly source: { pause(): void; resume(): void },
  ) {}

  /** What has arrived and was not taken yet. */
  get waitingBytes(): number {
    return this.#bytes
  }

  put(payload: Uint8Array): void {
    if (this.#ended) return
    const waiting = this.#waiting
    if (waiting) {
      this.#waiting = undefined
      waiting(payload)
      return
    }
    this.#payloads.push(payload)
    this.#bytes += payload.length
    if (!this.#paused && this.#bytes > HIGH_WATER_BYTES) {
      this.#paused = true
      this.source.pause()
    }
  }

  /** Nothing more comes; what has arrived can still be taken. */
  end(): void {
    this.#ended = true
    this.#waiting?.(ENDED)
    this.#waiting = undefined
  }

  /** Nobody takes anything any more: the rest of the stream flows into the void. */
  discard(): void {
    this.end()
    this.#payloads.length = 0
    this.#bytes = 0
    this.source.resume()
  }

  /** The next payload. One caller at a time. */
  take(limitMs?: number): Promise<Received> {
    const payload = this.#payloads.shift()
    if (payload) {
      this.#bytes -= payload.length
      if (this.#paused && this.#bytes < HIGH_WATER_BYTES / 2) {
        this.#paused = false
        this.source.resume()
      }
      return Promise.resolve(payload)
    }
    if (this.#ended) return Promise.resolve(ENDED)
    if (this.#waiting) throw new Error('two callers wait for the next message of one link; take them one by one')
    return new Promise((resolve) => {
      const cancel =
        limitMs === undefined
          ? undefined
          : this.clock.after(limitMs, () => {
              this.#waiting = undefined
              resolve(TIMEOUT)
            })
      this.#waiting = (received) => {
        cancel?.()
        resolve(received)
      }
    })
  }
}
