import type { WaitingLimits } from './waiting-halves.ts'

export type ShareRefusal = 'unticketed_source_full' | 'unticketed_total_full'

/**
 * Counts the halves that nobody has vouched for yet: their broker is being asked, or their ticket has not come. Where
 * there are too many, the one that has been without a ticket for longest gives way, so that strangers who hold out do not
 * keep out those who were introduced.
 */
export class UnticketedHalves<T extends { readonly source: string }> {
  readonly #limits: WaitingLimits
  readonly #all = new Set<T>()
  readonly #countBySource = new Map<string, number>()
  /** Those that had no ticket when their broker was asked, the oldest first. */
  readonly #withoutTicket = new Set<T>()

  constructor(limits: WaitingLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#all.size
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#all.values()
  }

  /**
   * Undefined: there is room. Else why not, and who can make room, if anybody can.
   */
  fullFor(newcomer: T): { readonly reason: ShareRefusal; readonly displaceable: T | undefined } | undefined {
    if ((this.#countBySource.get(newcomer.source) ?? 0) >= this.#limits.perSource) {
      for (const one of this.#withoutTicket) {
        if (one.source === newcomer.source) return { reason: 'unticketed_source_full', displaceable: one }
      }
      return { reason: 'unticketed_source_full', displaceable: undefined }
    }
    if (this.#all.size < this.#limits.total) return undefined
    const [oldest] = this.#withoutTicket
    return { reason: 'unticketed_total_full', displaceable: oldest }
  }

  add(one: T): void {
    this.#all.add(one)
    this.#countBySource.set(one.source, (this.#countBySource.get(one.source) ?? 0) + 1)
  }

  /** Its broker knew of no ticket; its place in the order stays. */
  hasNoTicket(one: T): void {
    if (this.#all.has(one)) this.#withoutTicket.add(one)
  }

  remove(one: T): boolean {
    if (!this.#all.delete(one)) return false
    this.#withoutTicket.delete(one)
    const left = (this.#countBySource.get(one.source) ?? 1) - 1
    if (left === 0) this.#countBySource.delete(one.source)
    else this.#countBySource.set(one.source, left)
    return true
  }
}
