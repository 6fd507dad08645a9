/** At most so many at a time; the others wait for their turn, for as long as they like to. */
export class Turns {
  #taken = 0
  readonly #waiting = new Set<() => void>()

  constructor(
    private readonly max: number,
    private readonly maxWaiting: number,
  ) {}

  /** False: it did not come within that time, or too many wait. Whoever gets a turn ends it. */
  take(patienceMs: number): Promise<boolean> {
    if (this.#taken < this.max) {
      this.#taken++
      return Promise.resolve(true)
    }
    if (this.#waiting.size >= this.maxWaiting) return Promise.resolve(false)
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(go)
        resolve(false)
      }, patienceMs)
      const go = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(go)
        resolve(true)
      }
      this.#waiting.add(go)
    })
  }

  end(): void {
    const [next] = this.#waiting
    if (next) next()
    else this.#taken--
  }
}
