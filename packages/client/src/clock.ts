/** Ends a timer that has not fired; harmless afterwards. */
export type CancelTimer = () => void

/**
 * The time that a peer lives by, in milliseconds. All limits and intervals of this package are those of stock clients;
 * a test that cannot wait for them injects a clock that runs faster.
 */
export interface Clock {
  /** Milliseconds since some moment in the past; never goes back. */
  now(): number
  /** Calls `action` once, never before `delayMs` have passed. */
  after(delayMs: number, action: () => void): CancelTimer
}

export const systemClock: Clock = scaledClock(1)

/** A clock on which `1 / factor` seconds pass in one second: with 0.1 a wait of 18 s takes 1.8 s. */
export function scaledClock(factor: number): Clock {
  return {
    now: () => performance.now() / factor,
    after: (delayMs, action) => {
      const dueMs = performance.now() + delayMs * factor
      // Timers of the platform may fire up to a millisecond early, which would move what hangs on whole seconds.
      const fire = () => {
        const leftMs = dueMs - performance.now()
        if (leftMs > 0) timer = setTimeout(fire, leftMs)
        else action()
      }
      let timer = setTimeout(fire, Math.max(0, delayMs * factor))
      return () => clearTimeout(timer)
    },
  }
}

/** What `within` gives when the time is up. */
export const TIMEOUT = 'timeout'

/** Waits for `promise`, at most `limitMs` of the clock. The promise itself goes on; its failure after that is nobody's. */
export function within<T>(clock: Clock, limitMs: number, promise: Promise<T>): Promise<T | typeof TIMEOUT> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(limitMs, () => resolve(TIMEOUT))
    promise.then(resolve, reject).finally(cancel)
  })
}

/** Resolves after `delayMs`, or at once when `signal` is aborted. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = () => {
      cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.after(delayMs, done)
    signal?.addEventListener('abort', done)
  })
}
