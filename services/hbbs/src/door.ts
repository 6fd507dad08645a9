/** What can be opened on a port and closed again. */
export interface Listener {
  readonly port: number
  close(): Promise<void>
}

/**
 * A port of this server, which is closed while clients should turn to other nodes: where those share it, the system
 * sends them there at once.
 */
export class Door<L extends Listener> {
  readonly port: number
  #listener: L | undefined
  #changing: Promise<void> = Promise.resolve()
  #wanted: 'open' | 'shut' = 'open'
  #isClosed = false

  private constructor(
    listener: L,
    private readonly openOn: (port: number) => Promise<L>,
    private readonly onError: (error: Error) => void,
  ) {
    this.#listener = listener
    this.port = listener.port
  }

  /** @throws what `openOn` throws the first time; later that goes to `onError` */
  static async open<L extends Listener>(
    port: number,
    openOn: (port: number) => Promise<L>,
    onError: (error: Error) => void,
  ): Promise<Door<L>> {
    return new Door(await openOn(port), openOn, onError)
  }

  /** Undefined while it is shut. */
  get listener(): L | undefined {
    return this.#listener
  }

  /** To be said again and again: opening is tried anew where it failed. */
  keep(wanted: 'open' | 'shut'): void {
    if (this.#isClosed || (this.#wanted === wanted && (wanted === 'open') === (this.#listener !== undefined))) return
    this.#wanted = wanted
    this.#change(() => (this.#wanted === 'open' ? this.#reopen() : this.#shut()))
  }

  /** May be called twice. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#change(() => this.#shut())
    await this.#changing
  }

  #change(step: () => Promise<void>): void {
    this.#changing = this.#changing.then(step).catch((error: unknown) => this.onError(error as Error))
  }

  async #shut(): Promise<void> {
    const listener = this.#listener
    this.#listener = undefined
    await listener?.close()
  }

  async #reopen(): Promise<void> {
    if (this.#listener || this.#isClosed) return
    this.#listener = await this.openOn(this.port)
  }
}
