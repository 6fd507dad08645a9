import type { DatagramPort } from '@tryst/rendezvous'
import { type UdpOptions, UdpPort } from '@tryst/transport'

/**
 * The UDP port, which is closed while devices should turn to other nodes: where those share it, the system sends them
 * there at once.
 */
export class DeviceDoor implements DatagramPort {
  #udp: UdpPort | undefined
  #changing: Promise<void> = Promise.resolve()
  #wanted: 'open' | 'shut' = 'open'
  #isClosed = false

  private constructor(
    private readonly options: UdpOptions,
    udp: UdpPort,
  ) {
    this.#udp = udp
  }

  /** @throws the listen error of Node */
  static async open(options: UdpOptions): Promise<DeviceDoor> {
    return new DeviceDoor(options, await UdpPort.open(options))
  }

  send(payload: Uint8Array, ip: string, port: number): void {
    this.#udp?.send(payload, ip, port)
  }

  /** To be said again and again: opening is tried anew where it failed. */
  keep(wanted: 'open' | 'shut'): void {
    if (this.#isClosed || (this.#wanted === wanted && (wanted === 'open') === (this.#udp !== undefined))) return
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
    this.#changing = this.#changing.then(step).catch((error: unknown) => this.options.onError(error as Error))
  }

  async #shut(): Promise<void> {
    const udp = this.#udp
    this.#udp = undefined
    await udp?.close()
  }

  async #reopen(): Promise<void> {
    if (this.#udp || this.#isClosed) return
    this.#udp = await UdpPort.open(this.options)
  }
}
