import { type Datagrams, KIND } from './datagrams.ts'
import { DEVICE_PORT, DeviceAddresses } from './device-addresses.ts'
import { DeviceMessages } from './device-messages.ts'
import type { SeededRandom } from './random.ts'
import type { ServerNode } from './server-node.ts'
import { TimeWheel } from './time-wheel.ts'

/** Times of stock clients: docs/protocol.md, times of the client. They look at their registration every second. */
const HEARTBEAT_INTERVAL_MS = 15_000
const REPEAT_AFTER_MS = 3_000
const TICK_MS = 1_000

const NOBODY = 255
const NEVER = 0
/** An answer that should have come by now: an interval, a tick, and a way there and back. */
const FRESH_MS = 17_000

const ON = 1
/** The server has accepted the device's key: it sends heartbeats from then on. */
const CONFIRMED = 2
/** Sent, and not answered. */
const OUTSTANDING = 4
/** Was told to be online, by a node that is still there. */
const SERVED = 8
/** A fault has left it without a node, and it has found none yet. */
const STRANDED = 16

export interface FleetWorld {
  readonly devices: number
  readonly regions: number
  readonly random: SeededRandom
  readonly datagrams: Datagrams
  /** The node that a device's datagrams go to; undefined: they are lost. */
  readonly route: (device: number, region: number, moves: number) => ServerNode | undefined
  readonly onPunch: (device: number, payload: Uint8Array, node: ServerNode) => void
}

/** The devices: what each knows and does, in columns of numbers. Their behaviour is that of stock clients over UDP. */
export class Fleet {
  readonly devices: number
  readonly addresses: DeviceAddresses
  readonly #world: FleetWorld
  readonly #messages = new DeviceMessages()
  readonly #wheel: TimeWheel
  readonly #states: Uint8Array
  readonly #moves: Uint16Array
  /** Within a second: when the device looks at its registration. */
  readonly #phases: Uint16Array
  readonly #sentMs: Uint32Array
  readonly #answeredMs: Uint32Array
  /** The node that answered last. */
  readonly #nodes: Uint8Array
  #nowMs = 0
  on = 0
  served = 0
  stranded = 0
  /** Devices that were told that they are somebody else. */
  refused = 0
  repeats = 0

  constructor(world: FleetWorld) {
    const { devices, random } = world
    this.#world = world
    this.devices = devices
    this.addresses = new DeviceAddresses(devices)
    this.#wheel = new TimeWheel(devices)
    this.#states = new Uint8Array(devices)
    this.#moves = new Uint16Array(devices)
    this.#phases = new Uint16Array(devices).map(() => random.below(TICK_MS))
    this.#sentMs = new Uint32Array(devices)
    this.#answeredMs = new Uint32Array(devices)
    this.#nodes = new Uint8Array(devices).fill(NOBODY)
  }

  regionOf(device: number): number {
    return device % this.#world.regions
  }

  isOn(device: number): boolean {
    return this.#is(device, ON)
  }

  movesOf(device: number): number {
    return this.#moves[device] ?? 0
  }

  /** A node that lives has told the device lately that it is online: whoever says that it is not, errs. */
  isOnlineBeyondDoubt(device: number): boolean {
    const isAnswered = this.#nowMs - (this.#answeredMs[device] ?? NEVER) < FRESH_MS
    return this.#is(device, ON) && this.#is(device, SERVED) && isAnswered
  }

  switchOn(device: number): void {
    if (this.#is(device, ON)) return
    this.#set(device, ON)
    this.#clear(device, OUTSTANDING | SERVED)
    this.#answeredMs[device] = NEVER
    this.on++
    if (!this.#wheel.has(device)) this.#wheel.add(device, this.#nextTick(this.#nowMs))
  }

  switchOff(device: number): void {
    if (!this.#is(device, ON)) return
    this.#unserve(device)
    this.#unstrand(device)
    this.#clear(device, ON)
    this.on--
  }

  /** The device has another address from now on; it notices nothing. */
  move(device: number): void {
    this.#moves[device] = this.movesOf(device) + 1
    this.#unserve(device)
  }

  /** A fault has left the device without a node. */
  strand(device: number): void {
    this.#unserve(device)
    if (this.#is(device, STRANDED)) return
    this.#set(device, STRANDED)
    this.stranded++
  }

  /** A node is gone: nobody serves its devices. */
  abandon(node: ServerNode): void {
    for (let device = 0; device < this.devices; device++)
      if (this.#nodes[device] === node.index && this.#is(device, SERVED)) this.strand(device)
  }

  tick(nowMs: number): void {
    this.#nowMs = nowMs
    this.#wheel.take(nowMs, (device) => this.#look(device))
  }

  /** A node's answer or push has arrived where it was sent to. */
  hear(ip: string, payload: Uint8Array, node: ServerNode): void {
    const owner = this.addresses.owner(ip)
    const { device } = owner
    if (!this.#is(device, ON) || !this.addresses.isCurrent(owner, this.movesOf(device))) return
    switch (this.#messages.read(payload)) {
      case 'accepted':
        return this.#answered(device, node)
      case 'registered':
        this.#set(device, CONFIRMED)
        return this.#answered(device, node)
      case 'key-wanted':
        this.#answeredMs[device] = this.#nowMs
        return this.#send(device, KIND.registration)
      case 'refused':
        this.refused++
        this.#clear(device, OUTSTANDING)
        this.#answeredMs[device] = this.#nowMs
        return
      case 'punch':
        return this.#world.onPunch(device, payload, node)
    }
  }

  /** What arrives at a node. */
  deliver(device: number, kind: number, moves: number, node: ServerNode): void {
    const ip = this.addresses.text(device, moves)
    const isHeartbeat = kind === KIND.heartbeat
    const datagram = isHeartbeat ? this.#messages.heartbeat(device) : this.#messages.registration(device)
    node.take(datagram, isHeartbeat ? 'heartbeat' : 'registration', ip, DEVICE_PORT)
  }

  /** A tick at which something may be due; what is not is looked at again when it is. */
  #look(device: number): void {
    if (!this.#is(device, ON)) return
    const nowMs = this.#nowMs
    const isOutstanding = this.#is(device, OUTSTANDING)
    const answeredMs = this.#answeredMs[device] ?? NEVER
    const sinceMs = isOutstanding ? (this.#sentMs[device] ?? 0) + REPEAT_AFTER_MS : answeredMs + HEARTBEAT_INTERVAL_MS
    const isDue = sinceMs < nowMs || (!isOutstanding && answeredMs === NEVER)
    if (isDue) {
      if (isOutstanding) this.repeats++
      this.#send(device, this.#is(device, CONFIRMED) ? KIND.heartbeat : KIND.registration)
    }
    this.#wheel.add(device, this.#nextTick(isDue ? nowMs + REPEAT_AFTER_MS : sinceMs, device))
  }

  #send(device: number, kind: number): void {
    this.#sentMs[device] = this.#nowMs
    this.#set(device, OUTSTANDING)
    const moves = this.movesOf(device)
    const node = this.#world.route(device, this.regionOf(device), moves)
    if (node) this.#world.datagrams.toNode(node, device, kind, moves)
  }

  #answered(device: number, node: ServerNode): void {
    this.#clear(device, OUTSTANDING)
    this.#answeredMs[device] = this.#nowMs
    this.#nodes[device] = node.index
    if (this.#is(device, SERVED) || !node.isAlive) return
    this.#set(device, SERVED)
    this.#unstrand(device)
    this.served++
  }

  #unserve(device: number): void {
    if (!this.#is(device, SERVED)) return
    this.#clear(device, SERVED)
    this.served--
  }

  #unstrand(device: number): void {
    if (!this.#is(device, STRANDED)) return
    this.#clear(device, STRANDED)
    this.stranded--
  }

  /** The device's first whole second after that. */
  #nextTick(ms: number, device = -1): number {
    const phase = device < 0 ? ms % TICK_MS : (this.#phases[device] ?? 0)
    return Math.floor((ms - phase) / TICK_MS) * TICK_MS + phase + TICK_MS
  }

  #is(device: number, bits: number): boolean {
    return ((this.#states[device] ?? 0) & bits) !== 0
  }

  #set(device: number, bits: number): void {
    this.#states[device] = (this.#states[device] ?? 0) | bits
  }

  #clear(device: number, bits: number): void {
    this.#states[device] = (this.#states[device] ?? 0) & ~bits
  }
}
