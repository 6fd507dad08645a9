import type { Cluster, DeviceAnswer, LocalNode, Location, PushOutcome } from '../src/cluster.ts'
import type { NodeId, PeerId } from '../src/peer-identity.ts'

/** Nodes of one process that know one another: a question to another one is a call. */
export class PairCluster implements Cluster {
  readonly isAlone = false
  readonly isCutOff = false
  readonly #id: NodeId
  readonly #nodes: Map<NodeId, LocalNode>

  constructor(name: string, nodes: Map<NodeId, LocalNode>) {
    this.#id = name as NodeId
    this.#nodes = nodes
  }

  async join(local: LocalNode): Promise<void> {
    this.#nodes.set(this.#id, local)
  }

  async claim(id: PeerId): Promise<void> {
    for (const other of this.#others()) if (other.holds(id) !== undefined) other.forget(id)
  }

  async release(): Promise<void> {}

  async locate(ids: readonly PeerId[]): Promise<readonly (Location | undefined)[]> {
    return ids.map((id) => {
      for (const [node, local] of this.#nodes) {
        const ip = node === this.#id ? undefined : local.holds(id)
        if (ip !== undefined) return { node, ip }
      }
      return undefined
    })
  }

  async push(node: NodeId, id: PeerId, message: Uint8Array, attempt?: number): Promise<PushOutcome> {
    return this.#nodes.get(node)?.push(id, message, attempt) ?? 'not-mine'
  }

  awaitAnswers(): undefined {
    return undefined
  }

  async answer(answer: DeviceAnswer): Promise<boolean> {
    for (const other of this.#others()) if (await other.answer(answer)) return true
    return false
  }

  async dismiss(id: PeerId): Promise<void> {
    for (const other of this.#others()) other.dismiss(id)
  }

  async hasDeviceInNetwork(ip: string): Promise<boolean> {
    for (const other of this.#others()) if (other.hasDeviceInNetwork(ip)) return true
    return false
  }

  async retire(): Promise<void> {}

  async leave(): Promise<void> {}

  #others(): LocalNode[] {
    return [...this.#nodes].filter(([node]) => node !== this.#id).map(([, local]) => local)
  }
}
