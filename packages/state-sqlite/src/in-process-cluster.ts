import { randomUUID } from 'node:crypto'
import type { Cluster, DeviceAnswer, LocalNode, Location, NodeId, PeerId, PushOutcome } from '@tryst/rendezvous'

/** Where the nodes of one process find one another. */
export class InProcessHub {
  readonly #nodes = new Map<NodeId, LocalNode>()

  enter(id: NodeId, node: LocalNode): void {
    this.#nodes.set(id, node)
  }

  exit(id: NodeId): void {
    this.#nodes.delete(id)
  }

  node(id: NodeId): LocalNode | undefined {
    return this.#nodes.get(id)
  }

  *othersThan(id: NodeId): Iterable<[NodeId, LocalNode]> {
    for (const entry of this.#nodes) if (entry[0] !== id) yield entry
  }
}

/**
 * One node's view of the others in the same process: a question to them is a function call. Nothing is remembered of
 * devices; who holds one is asked of the nodes themselves.
 */
export class InProcessCluster implements Cluster {
  readonly isAlone = false
  readonly isCutOff = false
  readonly id = randomUUID() as string as NodeId
  readonly #hub: InProcessHub

  constructor(hub: InProcessHub) {
    this.#hub = hub
  }

  async join(local: LocalNode): Promise<void> {
    this.#hub.enter(this.id, local)
  }

  async claim(id: PeerId): Promise<void> {
    for (const [, node] of this.#hub.othersThan(this.id)) {
      if (node.holds(id) === undefined) continue
      node.forget(id)
      this.#hub.node(this.id)?.took(id)
    }
  }

  async release(): Promise<void> {
    // A node that no longer holds the device says so when it is asked.
  }

  async locate(ids: readonly PeerId[]): Promise<readonly (Location | undefined)[]> {
    return ids.map((id) => this.#locateOne(id))
  }

  async push(node: NodeId, id: PeerId, message: Uint8Array, attempt?: number): Promise<PushOutcome> {
    return this.#hub.node(node)?.push(id, message, attempt) ?? 'not-mine'
  }

  awaitAnswers(): undefined {
    // All nodes are asked.
    return undefined
  }

  async dismiss(id: PeerId): Promise<void> {
    for (const [, node] of this.#hub.othersThan(this.id)) node.dismiss(id)
  }

  async hasDeviceInNetwork(ip: string): Promise<boolean> {
    for (const [, node] of this.#hub.othersThan(this.id)) if (node.hasDeviceInNetwork(ip)) return true
    return false
  }

  async answer(answer: DeviceAnswer): Promise<boolean> {
    for (const [, node] of this.#hub.othersThan(this.id)) if (await node.answer(answer)) return true
    return false
  }

  async retire(): Promise<void> {
    // As for `release`.
  }

  async leave(): Promise<void> {
    this.#hub.exit(this.id)
  }

  #locateOne(id: PeerId): Location | undefined {
    for (const [nodeId, node] of this.#hub.othersThan(this.id)) {
      const ip = node.holds(id)
      if (ip !== undefined) return { node: nodeId, ip }
    }
    return undefined
  }
}
