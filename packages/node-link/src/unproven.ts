/** Connections that have not proved themselves: few at all, few from one source. */
export class Unproven {
  readonly #bySource = new Map<string, number>()
  #total = 0

  constructor(
    private readonly max: number,
    private readonly maxOfSource: number,
  ) {}

  get count(): number {
    return this.#total
  }

  /** False: one too many. Each connection that was admitted is released once. */
  admit(source: string): boolean {
    const ofSource = this.#bySource.get(source) ?? 0
    if (this.#total >= this.max || ofSource >= this.maxOfSource) return false
    this.#bySource.set(source, ofSource + 1)
    this.#total++
    return true
  }

  release(source: string): void {
    const left = (this.#bySource.get(source) ?? 0) - 1
    if (left > 0) this.#bySource.set(source, left)
    else this.#bySource.delete(source)
    this.#total--
  }
}
