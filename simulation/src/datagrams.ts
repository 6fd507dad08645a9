import type { SeededRandom } from './random.ts'
import type { ServerNode } from './server-node.ts'

/** Longest way that a datagram may take. */
const SLOTS = 4_096
const NONE = -1

export const KIND = { heartbeat: 0, registration: 1 } as const

export interface DatagramWorld {
  readonly random: SeededRandom
  /** Share that is lost. */
  readonly loss: number
  readonly onNode: (device: number, kind: number, moves: number, node: ServerNode) => void
  readonly onDevice: (ip: string, payload: Uint8Array, node: ServerNode) => void
}

/** Between a device and a node of its region: shortest way, and what may come on top. */
const SHORTEST_MS = 10
const SPREAD_MS = 40

interface ToDevice {
  readonly ip: string
  readonly payload: Uint8Array
  readonly node: ServerNode
}

/** Datagrams on their way between devices and nodes; some get lost. */
export class Datagrams {
  readonly #world: DatagramWorld
  readonly #first = new Int32Array(SLOTS).fill(NONE)
  #next = new Int32Array(1_024)
  #devices = new Int32Array(1_024)
  #moves = new Uint16Array(1_024)
  #kinds = new Uint8Array(1_024)
  readonly #nodes: ServerNode[] = []
  readonly #free: number[] = []
  #used = 0
  readonly #toDevices: ToDevice[][] = Array.from({ length: SLOTS }, () => [])
  #nowMs = 0
  lost = 0

  constructor(world: DatagramWorld) {
    this.#world = world
  }

  toNode(node: ServerNode, device: number, kind: number, moves: number): void {
    if (this.#isLost()) return
    const place = this.#free.pop() ?? this.#grow()
    this.#devices[place] = device
    this.#kinds[place] = kind
    this.#moves[place] = moves
    this.#nodes[place] = node
    const slot = this.#slotAfter(this.#delayMs())
    this.#next[place] = this.#first[slot] ?? NONE
    this.#first[slot] = place
  }

  toDevice(node: ServerNode, payload: Uint8Array, ip: string, waitsMs: number): void {
    if (this.#isLost()) return
    const slot = this.#slotAfter(this.#delayMs() + Math.ceil(waitsMs))
    this.#toDevices[slot]?.push({ ip, payload, node })
  }

  tick(nowMs: number): void {
    this.#nowMs = nowMs
    const { onNode, onDevice } = this.#world
    const slot = nowMs % SLOTS
    let place = this.#first[slot] ?? NONE
    this.#first[slot] = NONE
    while (place !== NONE) {
      const next = this.#next[place] ?? NONE
      const node = this.#nodes[place]
      if (node) onNode(this.#devices[place] ?? 0, this.#kinds[place] ?? 0, this.#moves[place] ?? 0, node)
      this.#free.push(place)
      place = next
    }
    const arriving = this.#toDevices[slot]
    if (!arriving || arriving.length === 0) return
    this.#toDevices[slot] = []
    for (const { ip, payload, node } of arriving) onDevice(ip, payload, node)
  }

  #isLost(): boolean {
    const isLost = this.#world.random.fraction() < this.#world.loss
    if (isLost) this.lost++
    return isLost
  }

  #delayMs(): number {
    return SHORTEST_MS + this.#world.random.below(SPREAD_MS)
  }

  #slotAfter(delayMs: number): number {
    return (this.#nowMs + Math.min(SLOTS - 1, delayMs)) % SLOTS
  }

  #grow(): number {
    const place = this.#used++
    if (place < this.#next.length) return place
    const length = this.#next.length * 2
    this.#next = enlarged(this.#next, new Int32Array(length))
    this.#devices = enlarged(this.#devices, new Int32Array(length))
    this.#moves = enlarged(this.#moves, new Uint16Array(length))
    this.#kinds = enlarged(this.#kinds, new Uint8Array(length))
    return place
  }
}

function enlarged<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from)
  return to
}
