import type { ServerNode } from './server-node.ts'

/** How long whoever spreads the devices over the nodes needs to notice that one is gone. */
export const DETECTION_MS = 3_000

/**
 * One address for the nodes of a region: a device's datagrams go to one of them, which its address decides. When a node
 * goes only its devices go elsewhere; when all of a region are gone, to those of the others.
 */
export class Routes {
  readonly #byRegion: ServerNode[][]
  #all: readonly ServerNode[]

  constructor(nodes: readonly ServerNode[], regions: number) {
    this.#all = nodes
    this.#byRegion = Array.from({ length: regions }, (_, region) => nodes.filter((node) => node.region === region))
  }

  /** It has been noticed that nodes are gone. */
  remove(gone: readonly ServerNode[]): void {
    const isLeft = (node: ServerNode) => !gone.includes(node)
    this.#all = this.#all.filter(isLeft)
    for (const [region, nodes] of this.#byRegion.entries()) this.#byRegion[region] = nodes.filter(isLeft)
  }

  find(device: number, region: number, moves: number): ServerNode | undefined {
    const own = this.#byRegion[region] ?? []
    let best: ServerNode | undefined
    let highest = -1
    for (const node of own.length > 0 ? own : this.#all) {
      const weight = mix(device, moves, node.index)
      if (weight <= highest) continue
      highest = weight
      best = node
    }
    return best
  }
}

function mix(device: number, moves: number, node: number): number {
  let hash = Math.imul(device ^ Math.imul(node + 1, 0x9e3779b1) ^ Math.imul(moves, 0x85ebca6b), 0xc2b2ae35)
  hash = Math.imul(hash ^ (hash >>> 15), 0x27d4eb2f)
  return (hash ^ (hash >>> 13)) >>> 0
}
