import { ConnectError, type Controller, type Device, type Reaction } from '@tryst/client'
import type { Cluster, ClusterNode } from './cluster.ts'
import { loopbackAddress } from './loopback-address.ts'
import { meetOnce, startDevices } from './meet.ts'
import { RedisView } from './redis-view.ts'

export interface TurmoilOptions {
  readonly devices: number
  /** From how many addresses the devices come. */
  readonly addresses: number
  readonly controllers: number
  readonly durationMs: number
  readonly killEveryMs: number
  /** How long a killed node stays away. */
  readonly awayMs: number
  /** Draws who is killed and who meets whom. */
  readonly seed: number
}

/** What became of one attempt to reach a device. */
export interface Attempt {
  readonly beganMs: number
  readonly endedMs: number
  readonly deviceId: string
  readonly path: 'direct' | 'relay'
  /** The relay that the device was sent to, where it was. */
  readonly relay: string | undefined
  readonly failure: string | undefined
}

export interface Death {
  readonly node: string
  /** Of a relay: what clients call it. */
  readonly address: string | undefined
  readonly atMs: number
  /** Until then its connections may still be accepted, and then reset. */
  overMs: number
}

const FIRST_CONTROLLER = 10_000
const LOOK_EVERY_MS = 250
/** A death explains what fails within this time. */
const EXPLAINED_FOR_MS = 20_000
const PAUSE_MS = 200

/** Random kills and restarts of nodes under sessions that come and go. */
export class Turmoil {
  readonly attempts: Attempt[] = []
  readonly deaths: Death[] = []
  /** When each device was seen with which owner; the newest last. */
  readonly #owners = new Map<string, { readonly node: string; readonly sinceMs: number }[]>()
  readonly #random: () => number
  readonly #beganMs = performance.now()

  constructor(
    private readonly cluster: Cluster,
    private readonly options: TurmoilOptions,
  ) {
    this.#random = seeded(options.seed)
  }

  async run(): Promise<void> {
    const { cluster, options } = this
    const devices = await startDevices(cluster, options.devices, { addresses: options.addresses })
    const view = cluster.guest(await RedisView.open(cluster.redis.port))
    const untilMs = this.#now() + options.durationMs
    const controllers = Array.from({ length: options.controllers }, (_, i) =>
      cluster.controller(0, { localAddress: loopbackAddress(FIRST_CONTROLLER + i) }),
    )
    await Promise.all([
      this.#watchOwners(view, devices, untilMs),
      this.#killAround(untilMs),
      ...controllers.map((controller) => this.#meetAround(controller, devices, untilMs)),
    ])
  }

  /** The death that explains why an attempt failed: of the device's owner, or of a node that the attempt used. */
  explanationOf(attempt: Attempt): Death | undefined {
    const { beganMs, endedMs, deviceId, relay } = attempt
    const used = new Set(this.#ownersBetween(deviceId, beganMs - EXPLAINED_FOR_MS, endedMs))
    return this.deaths.find(({ node, address, atMs, overMs }) => {
      if (atMs > endedMs || atMs < beganMs - EXPLAINED_FOR_MS) return false
      // Which ID server had the controller's connection is not known; one that died meanwhile may have been it.
      const isOwnServer = address === undefined && overMs >= beganMs
      return used.has(node) || (address !== undefined && address === relay) || isOwnServer
    })
  }

  #now(): number {
    return performance.now() - this.#beganMs
  }

  async #meetAround(controller: Controller, devices: readonly Device[], untilMs: number): Promise<void> {
    while (this.#now() < untilMs) {
      const device = this.#pick(devices)
      const path = this.#random() < 0.5 ? 'direct' : 'relay'
      let relay: string | undefined
      const note = (reaction: Reaction) => {
        if ('relayServer' in reaction) relay = reaction.relayServer
      }
      device.on('reaction', note)
      const beganMs = this.#now()
      const failure = await meetOnce(controller, device.id, path).then(
        () => undefined,
        (error: Error) => (error instanceof ConnectError ? `${error.failure}: ${error.message}` : error.message),
      )
      device.off('reaction', note)
      const endedMs = this.#now()
      this.attempts.push({ beganMs, endedMs, deviceId: device.id, path, relay, failure })
      await pause(PAUSE_MS)
    }
  }

  async #killAround(untilMs: number): Promise<void> {
    const { cluster, options } = this
    const nodes: readonly ClusterNode[] = [...cluster.hbbs, ...cluster.hbbr]
    for (;;) {
      await pause(options.killEveryMs - options.awayMs)
      // The last one is given time to come back, and the devices to come to another.
      if (this.#now() + EXPLAINED_FOR_MS / 2 > untilMs) return
      const node = this.#pick(nodes)
      const address = node.program === 'hbbr' ? `127.0.0.1:${node.ports.relay}` : undefined
      // Connections break before this process is told of the end.
      const death = { node: node.name, address, atMs: this.#now(), overMs: Number.POSITIVE_INFINITY }
      this.deaths.push(death)
      await node.kill()
      death.overMs = this.#now()
      await pause(options.awayMs)
      await node.start()
    }
  }

  async #watchOwners(view: RedisView, devices: readonly Device[], untilMs: number): Promise<void> {
    const names = new Map<string, string>()
    while (this.#now() < untilMs) {
      for (const [incarnation, name] of await view.livingNodes()) names.set(incarnation, name)
      for (const [id, owner] of await view.owners(devices.map((device) => device.id))) {
        const seen = this.#owners.get(id) ?? []
        const node = names.get(owner.node) ?? owner.node
        if (seen.at(-1)?.node !== node) seen.push({ node, sinceMs: this.#now() })
        this.#owners.set(id, seen)
      }
      await pause(LOOK_EVERY_MS)
    }
  }

  #ownersBetween(id: string, fromMs: number, toMs: number): string[] {
    const seen = this.#owners.get(id) ?? []
    return seen
      .filter(({ sinceMs }, i) => sinceMs <= toMs + LOOK_EVERY_MS && (seen[i + 1]?.sinceMs ?? toMs) >= fromMs)
      .map(({ node }) => node)
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T
  }
}

/** Numbers from 0 to below 1, the same for the same seed. */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
