const MINUTE_MS = 60_000
const MAX_REMEMBERED = 1_000

/** Lets each subject through once a minute; beyond a thousand subjects a minute, nothing new. */
export class OnceAMinute {
  readonly #toldMs = new Map<string, number>()

  constructor(private readonly nowMs: () => number = () => performance.now()) {}

  admits(subject: string): boolean {
    const now = this.nowMs()
    // In the order of telling, so the oldest come first.
    for (const [oldest, toldMs] of this.#toldMs) {
      if (now - toldMs < MINUTE_MS) break
      this.#toldMs.delete(oldest)
    }
    if (this.#toldMs.has(subject) || this.#toldMs.size >= MAX_REMEMBERED) return false
    this.#toldMs.set(subject, now)
    return true
  }
}
