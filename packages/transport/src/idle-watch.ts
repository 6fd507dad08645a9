/** How late an idle one may be found. */
const CHECK_EVERY_MS = 100

/**
 * Finds what has been idle for too long. One timer for all: those that were active last stand at the end, so that each
 * check looks at the first few only. A timer for every connection costs more than all else that a short one does.
 */
export class IdleWatch<T extends object> {
  /** The time of the last activity, oldest first. */
  readonly #activeAt = new Map<T, number>()
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly timeoutMs: number,
    private readonly onIdle: (one: T) => void,
  ) {}

  get all(): Iterable<T> {
    return this.#activeAt.keys()
  }

  get size(): number {
    return this.#activeAt.size
  }

  /** It is active now; begins to be watched when it was not. */
  touch(one: T): void {
    this.#activeAt.delete(one)
    this.#activeAt.set(one, performance.now())
    this.#timer ??= setInterval(() => this.#check(), CHECK_EVERY_MS)
  }

  /** It is watched no more. False when it was not. */
  drop(one: T): boolean {
    return this.#activeAt.delete(one)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#activeAt.clear()
  }

  #check(): void {
    const idleSince = performance.now() - this.timeoutMs
    for (const [one, activeAt] of this.#activeAt) {
      if (activeAt > idleSince) return
      // Told once; it stays watched until it is dropped.
      this.#activeAt.delete(one)
      this.#activeAt.set(one, Number.POSITIVE_INFINITY)
      this.onIdle(one)
    }
    if (this.#activeAt.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }
}
