import { randomBytes } from 'node:crypto'
import type { ControllerSession } from '@tryst/client'

const BYTES = 4_096
const PAUSE_MS = 100

/** A session over which bytes go to the device and back all the time; the device has to echo them. */
export class Pulse {
  #roundTrips = 0
  #longestMs = 0
  #isStopping = false
  #failure: unknown
  readonly #done: Promise<void>

  private constructor(private readonly session: ControllerSession) {
    this.#done = this.#run().catch((error: unknown) => {
      this.#failure = error
    })
  }

  static of(session: ControllerSession): Pulse {
    return new Pulse(session)
  }

  get roundTrips(): number {
    return this.#roundTrips
  }

  /** Ends it. @returns the longest round trip, in milliseconds @throws Error when the session broke */
  async stop(): Promise<number> {
    this.#isStopping = true
    await this.#done
    if (this.#failure !== undefined) throw this.#failure
    await this.session.close()
    return this.#longestMs
  }

  async #run(): Promise<void> {
    const { session } = this
    const over = session.ended.then(({ kind }) => {
      if (!this.#isStopping) throw new Error(`the session ended: ${kind}`)
    })
    over.catch(() => undefined)
    while (!this.#isStopping) {
      const sent = randomBytes(BYTES)
      const received: Uint8Array[] = []
      const { promise: back, resolve } = Promise.withResolvers<void>()
      let left = BYTES
      session.onData = (chunk) => {
        received.push(chunk)
        left -= chunk.length
        if (left <= 0) resolve()
      }
      const beganMs = performance.now()
      await session.write(sent)
      await Promise.race([back, over])
      this.#longestMs = Math.max(this.#longestMs, performance.now() - beganMs)
      if (!this.#isStopping && !Buffer.concat(received).equals(sent)) throw new Error('what came back is not what left')
      this.#roundTrips++
      await Promise.race([new Promise((next) => setTimeout(next, PAUSE_MS)), over])
    }
  }
}
