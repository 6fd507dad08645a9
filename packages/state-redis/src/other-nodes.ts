import type { NodeId } from '@tryst/rendezvous'
import type { LinkTarget, NodeLinksPort } from './node-links-port.ts'
import type { KnownNode, RedisNode } from './redis-node.ts'

/** The other nodes as they can be asked over links. */
export class OtherNodes {
  readonly #node: RedisNode
  readonly #links: NodeLinksPort
  /** Since when each node that was asked has answered nothing. */
  readonly #silentSinceMs = new Map<NodeId, number>()

  constructor(node: RedisNode, links: NodeLinksPort) {
    this.#node = node
    this.#links = links
  }

  /** Undefined: it has died. Rejects with StoreUnavailableError. */
  find(node: NodeId): Promise<KnownNode | undefined> {
    return this.#node.find(node)
  }

  /** Those that hold devices or waiting initiators. */
  get idServers(): KnownNode[] {
    return [...this.#node.others.values()].filter(
      ({ role, incarnation }) => role === 'id-server' && !this.#isDead(incarnation),
    )
  }

  /** Those among them that hold devices, or may take some. */
  get holders(): KnownNode[] {
    return this.idServers.filter(({ isLeaving }) => !isLeaving)
  }

  /** Asks one node and notes whether it answered. */
  async ask<T>(node: KnownNode, question: (links: NodeLinksPort, target: LinkTarget) => Promise<T>): Promise<T> {
    try {
      const answer = await question(this.#links, node)
      this.#silentSinceMs.delete(node.incarnation)
      return answer
    } catch (error) {
      if (!this.#silentSinceMs.has(node.incarnation)) this.#silentSinceMs.set(node.incarnation, performance.now())
      throw error
    }
  }

  /** Forgets about nodes that are gone for good. */
  tidy(): void {
    for (const node of this.#silentSinceMs.keys()) if (!this.#node.others.has(node)) this.#silentSinceMs.delete(node)
  }

  /** While Redis can't say who lives: a node that has answered nothing for as long as a lease does not. */
  #isDead(node: NodeId): boolean {
    const sinceMs = this.#silentSinceMs.get(node)
    return sinceMs !== undefined && !this.#node.isFresh && performance.now() - sinceMs > this.#node.leaseMs
  }
}
