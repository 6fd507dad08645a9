import { TimerQueue, type VirtualTimer } from './timer-queue.ts'

/** Any moment will do, as long as it is always the same. */
const BEGIN_MS = Date.UTC(2030, 0, 1)
const realSetImmediate = setImmediate

/** What happens in a virtual millisecond besides timers. */
type Tick = (nowMs: number) => void

/**
 * A clock that runs as fast as the work that has to be done, in steps of a millisecond. While it is installed the
 * process' own timers and clocks are its.
 */
export class VirtualTime {
  #nowMs = 0
  readonly #timers = new TimerQueue()
  #immediates: (() => void)[] = []
  onTick: Tick = () => {}

  /** Milliseconds since the beginning. */
  get nowMs(): number {
    return this.#nowMs
  }

  get unixMs(): number {
    return BEGIN_MS + this.#nowMs
  }

  after(delayMs: number, callback: () => void): VirtualTimer {
    return this.#timers.add(this.#nowMs + Math.max(0, Math.ceil(delayMs)), callback)
  }

  /** Everything in this process that waits or asks for the time gets this one from now on. */
  install(random: () => number): void {
    const start =
      (repeats: boolean) =>
      (callback: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]) => {
        const everyMs = Math.max(1, Math.ceil(delayMs ?? 1))
        const run = () => {
          if (repeats) timer.restart(this.#nowMs + everyMs)
          callback(...args)
        }
        const timer = this.#timers.add(this.#nowMs + everyMs, run)
        return timer
      }
    const stop = (timer: unknown) => (timer as VirtualTimer | undefined)?.cancel()
    const replaced: Record<string, unknown> = {
      setTimeout: start(false),
      setInterval: start(true),
      clearTimeout: stop,
      clearInterval: stop,
      setImmediate: (callback: () => void) => this.#immediates.push(callback),
    }
    Object.assign(globalThis, replaced)
    Object.defineProperty(performance, 'now', { value: () => this.#nowMs, configurable: true })
    Object.defineProperty(performance, 'timeOrigin', { value: BEGIN_MS, configurable: true })
    Date.now = () => BEGIN_MS + this.#nowMs
    Math.random = random
  }

  /** Lets so much time go by. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    while (this.#nowMs < untilMs) await this.#step()
  }

  /** Lets time go by until the promise settles. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const settled = promise.finally(() => {
      isSettled = true
    })
    settled.catch(() => {})
    await turn()
    while (!isSettled) await this.#step()
    return settled
  }

  async #step(): Promise<void> {
    this.#nowMs++
    this.onTick(this.#nowMs)
    do {
      const immediates = this.#immediates
      this.#immediates = []
      for (const immediate of immediates) immediate()
      this.#timers.runUntil(this.#nowMs)
      await turn()
    } while (this.#immediates.length > 0 || this.#timers.isDue(this.#nowMs))
  }
}

/** Everything that promises have to say has been said. */
function turn(): Promise<void> {
  return new Promise((resolve) => realSetImmediate(resolve))
}
