import { StoreUnavailableError } from '@tryst/rendezvous'

/** What strangers can ask for without end gets so much at a time; the rest is refused, so that others find room. */
export class Share {
  #taken = 0

  /** @param what for messages: "... are being looked up" */
  constructor(
    private readonly max: number,
    private readonly what: string,
  ) {}

  /** Rejects with StoreUnavailableError where too much is under way. */
  async use<T>(size: number, work: () => Promise<T>): Promise<T> {
    if (this.#taken + size > this.max) throw new StoreUnavailableError(`${this.#taken} ${this.what} already`)
    this.#taken += size
    try {
      return await work()
    } finally {
      this.#taken -= size
    }
  }
}
