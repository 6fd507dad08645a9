/** What has arrived at a client and was not yet taken, and waiting for more of it. */
export class Inbox {
  #waiting = new Set<() => void>()

  /** To be called whenever something has arrived or ended. */
  protected changed(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const resume of waiting) resume()
  }

  /** The first result of `look` that is not undefined; undefined when the time is over. */
  protected async until<T>(look: () => T | undefined, timeoutMs: number): Promise<T | undefined> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const found = look()
      const leftMs = deadline - performance.now()
      if (found !== undefined || leftMs <= 0) return found
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.add(resolve)
      const timer = setTimeout(resolve, leftMs)
      await promise
      clearTimeout(timer)
      this.#waiting.delete(resolve)
    }
  }
}

/** How a connection ended: by an orderly end of the stream or by a reset. */
export type Ending = 'end' | 'reset'

/** What every scripted client can do, whatever its transport. */
export interface Client {
  /** As the server sees it. */
  readonly address: { readonly ip: string; readonly port: number }
  open(): Promise<void>
  /** One datagram, frame or binary message. */
  send(payload: Uint8Array): void
  takeMessage(timeoutMs: number): Promise<Uint8Array | undefined>
  /** What has arrived and was not taken, for people; undefined when there is nothing. */
  pending(): string | undefined
  /** Waits for the end. */
  ended(timeoutMs: number): Promise<Ending | undefined>
  close(): void
}
