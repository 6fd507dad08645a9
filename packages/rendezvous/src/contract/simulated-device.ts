import { type Endpoint, type OutgoingRendezvousMessage, type RendezvousMessage, rendezvous } from '@tryst/protocol'

const { Result } = rendezvous.RegisterPkResponse

const TICK_MS = 1_000
const HEARTBEAT_AFTER_MS = 15_000
const REPEAT_AFTER_MS = 3_000

/** Takes a datagram to a server and resolves with what it answers. */
export type Deliver = (message: OutgoingRendezvousMessage, from: Endpoint) => Promise<readonly RendezvousMessage[]>

export interface SimulatedDeviceOptions {
  readonly id: string
  readonly uuid: Uint8Array
  readonly publicKey: Uint8Array
  /** Where the next packet leaves from. */
  readonly address: () => Endpoint
  readonly deliver: Deliver
  /** Whether the next packet, either way, is lost. Default: none is. */
  readonly isLost?: () => boolean
  /** How long after an answer it sends the next heartbeat. Default 15 s. */
  readonly heartbeatAfterMs?: number
  /** The id that it draws when its own is taken. */
  readonly drawId: () => string
}

/**
 * A stock device that registers over UDP (docs/protocol.md, registration), in virtual time: `run` is called with each
 * moment, which rises.
 */
export class SimulatedDevice {
  /** Ids that it has had, the last one is its own. */
  readonly ids: string[]
  /** What RegisterPk was answered with. */
  readonly results: rendezvous.RegisterPkResponse.Result[] = []
  #isConfirmed = false
  #nextTickMs: number | undefined
  #sentMs: number | undefined
  #answeredMs = Number.NEGATIVE_INFINITY

  constructor(private readonly options: SimulatedDeviceOptions) {
    this.ids = [options.id]
  }

  get id(): string {
    return this.ids.at(-1) ?? ''
  }

  /** Everything that it does until this moment. */
  async run(nowMs: number): Promise<void> {
    this.#nextTickMs ??= nowMs
    for (; this.#nextTickMs <= nowMs; this.#nextTickMs += TICK_MS) await this.#tick(this.#nextTickMs)
  }

  async #tick(nowMs: number): Promise<void> {
    const { heartbeatAfterMs = HEARTBEAT_AFTER_MS } = this.options
    const isDue =
      this.#sentMs === undefined
        ? nowMs - this.#answeredMs >= heartbeatAfterMs
        : nowMs - this.#sentMs >= REPEAT_AFTER_MS
    if (isDue) await this.#send(this.#isConfirmed ? 'registerPeer' : 'registerPk', nowMs)
  }

  async #send(what: 'registerPeer' | 'registerPk', nowMs: number): Promise<void> {
    const { uuid, publicKey, deliver, address, isLost = () => false } = this.options
    this.#sentMs = nowMs
    const from = address()
    if (isLost()) return
    const { id } = this
    const message =
      what === 'registerPk' ? { registerPk: { id, uuid, pk: publicKey } } : { registerPeer: { id, serial: 3 } }
    for (const answer of await deliver(message, from)) if (!isLost()) await this.#receive(answer, nowMs)
  }

  async #receive({ registerPeerResponse, registerPkResponse }: RendezvousMessage, nowMs: number): Promise<void> {
    if (!registerPeerResponse && !registerPkResponse) return
    this.#answeredMs = nowMs
    this.#sentMs = undefined
    if (registerPeerResponse?.requestPk) await this.#send('registerPk', nowMs)
    if (!registerPkResponse) return
    const { result } = registerPkResponse
    this.results.push(result)
    if (result === Result.OK) this.#isConfirmed = true
    if (result !== Result.UUID_MISMATCH) return
    this.#isConfirmed = false
    this.ids.push(this.options.drawId())
    await this.#send('registerPk', nowMs)
  }
}
