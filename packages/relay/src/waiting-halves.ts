/** How many halves may wait for their partner. */
export interface WaitingLimits {
  readonly perSource: number
  readonly total: number
}

export type TakeOrPut<T> =
  | { readonly kind: 'paired'; readonly partner: T }
  | { readonly kind: 'waiting' }
  | { readonly kind: 'refused'; readonly reason: 'waiting_source_full' | 'waiting_total_full' }

/**
 * Halves that wait for their partner, by the uuid of the session. Pairing is one synchronous step, so that two halves
 * that come at the same instant always meet.
 */
export class WaitingHalves<T extends { readonly source: string }> {
  readonly #byUuid = new Map<string, T>()
  readonly #countBySource = new Map<string, number>()

  constructor(private readonly limits: WaitingLimits) {}

  get size(): number {
    return this.#byUuid.size
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#byUuid.values()
  }

  find(uuid: string): T | undefined {
    return this.#byUuid.get(uuid)
  }

  /** Takes the half that waits under this uuid, or lets this one wait. */
  takeOrPut(uuid: string, half: T): TakeOrPut<T> {
    const partner = this.#byUuid.get(uuid)
    if (partner) {
      this.#forget(uuid, partner)
      return { kind: 'paired', partner }
    }
    // A newcomer is refused rather than one who waits: what waits was asked for by a client with the right key.
    const fromSource = this.#countBySource.get(half.source) ?? 0
    if (fromSource >= this.limits.perSource) return { kind: 'refused', reason: 'waiting_source_full' }
    if (this.#byUuid.size >= this.limits.total) return { kind: 'refused', reason: 'waiting_total_full' }
    this.#byUuid.set(uuid, half)
    this.#countBySource.set(half.source, fromSource + 1)
    return { kind: 'waiting' }
  }

  /** Frees the uuid, if it is this very half that waits there: another may have taken the place since. */
  remove(uuid: string, half: T): boolean {
    if (this.#byUuid.get(uuid) !== half) return false
    this.#forget(uuid, half)
    return true
  }

  #forget(uuid: string, half: T): void {
    this.#byUuid.delete(uuid)
    const left = (this.#countBySource.get(half.source) ?? 1) - 1
    if (left === 0) this.#countBySource.delete(half.source)
    else this.#countBySource.set(half.source, left)
  }
}
