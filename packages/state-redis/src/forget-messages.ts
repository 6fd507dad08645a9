import type { NodeId, PeerId } from '@tryst/rendezvous'
import type { OtherNodes } from './other-nodes.ts'

/** By then the former node has noticed by itself that it hears nothing of the device. */
const GIVE_UP_AFTER_MS = 40_000
const MAX_UNDELIVERED = 20_000

interface Forget {
  readonly node: NodeId
  readonly id: PeerId
  /** As in NodeLinksPort.forget. */
  readonly version: number
  readonly sinceMs: number
}

/** Tells nodes which devices they no longer hold, until they have heard it. */
export class ForgetMessages {
  readonly #others: OtherNodes
  readonly #undelivered = new Map<string, Forget>()

  constructor(others: OtherNodes) {
    this.#others = others
  }

  get undelivered(): number {
    return this.#undelivered.size
  }

  tell(node: NodeId, id: PeerId, version: number): void {
    this.#send({ node, id, version, sinceMs: performance.now() })
  }

  /** For when it is not known who held the device, and Redis has not accepted that this node does since then. */
  tellAll(id: PeerId, heardUs: number): void {
    for (const { incarnation } of this.#others.idServers) this.tell(incarnation, id, -heardUs)
  }

  /** Tries again what did not get through. */
  turn(): void {
    const nowMs = performance.now()
    for (const [key, forget] of [...this.#undelivered]) {
      this.#undelivered.delete(key)
      if (nowMs - forget.sinceMs < GIVE_UP_AFTER_MS) this.#send(forget)
    }
  }

  #send(forget: Forget): void {
    const { node, id, version } = forget
    this.#deliver(forget).catch(() => {
      const key = `${node} ${id}`
      const other = this.#undelivered.get(key)
      const isNews = other ? Math.abs(other.version) < Math.abs(version) : this.#undelivered.size < MAX_UNDELIVERED
      if (isNews) this.#undelivered.set(key, forget)
    })
  }

  async #deliver({ node, id, version }: Forget): Promise<void> {
    const known = await this.#others.find(node)
    // Whoever is gone holds nothing.
    if (known) await this.#others.ask(known, (links, target) => links.forget(target, id, version))
  }
}
