import { Controllers } from './controllers.ts'
import { Datagrams } from './datagrams.ts'
import { Fleet } from './fleet.ts'
import type { SimulationOptions } from './options.ts'
import { SeededRandom } from './random.ts'
import { DETECTION_MS, Routes } from './routes.ts'
import { ServerNode, type ServerWorld } from './server-node.ts'
import { SimulatedLinks } from './simulated-links.ts'
import { SimulatedRedis } from './simulated-redis.ts'
import { VirtualTime } from './virtual-time.ts'

export const REGIONS = 3
const WITHIN_REGION_MS = 1
const BETWEEN_REGIONS_MS = 8
/** Redis' primary. The region that is lost is another one. */
const REDIS_REGION = 0

/** Everything that is simulated, put together. */
export class World {
  readonly time = new VirtualTime()
  readonly random: SeededRandom
  readonly redis = new SimulatedRedis(this.time)
  readonly links = new SimulatedLinks(this.time, latencyMs)
  readonly nodes: ServerNode[] = []
  readonly fleet: Fleet
  readonly datagrams: Datagrams
  readonly controllers: Controllers
  #routes: Routes

  private constructor({ devices, seed, loss }: SimulationOptions) {
    this.random = new SeededRandom(seed)
    this.#routes = new Routes([], REGIONS)
    this.datagrams = new Datagrams({
      ...{ random: this.random, loss },
      onNode: (device, kind, moves, node) => this.fleet.deliver(device, kind, moves, node),
      onDevice: (ip, payload, node) => this.fleet.hear(ip, payload, node),
    })
    this.fleet = new Fleet({
      ...{ devices, random: this.random, datagrams: this.datagrams, regions: REGIONS },
      route: (device, region, moves) => this.#routes.find(device, region, moves),
      onPunch: (device, payload) => this.controllers.punched(device, payload),
    })
    this.controllers = new Controllers({
      ...{ time: this.time, random: this.random, fleet: this.fleet },
      anyNode: () => this.anyNode(),
    })
    this.time.onTick = (nowMs) => {
      this.datagrams.tick(nowMs)
      this.fleet.tick(nowMs)
    }
  }

  static async build(options: SimulationOptions): Promise<World> {
    const world = new World(options)
    const { time, random, redis, links, datagrams, nodes } = world
    time.install(() => random.fraction())
    const serverWorld: ServerWorld = {
      ...{ time, random, redis, links, maxDevices: Math.max(1_000, options.devices) },
      redisLatencyMs: (region) => latencyMs(region, REDIS_REGION),
      toDevice: (node, payload, ip, waitsMs) => datagrams.toDevice(node, payload, ip, waitsMs),
    }
    for (let region = 0; region < REGIONS; region++)
      for (let i = 0; i < options.nodesPerRegion; i++)
        nodes.push(await time.until(ServerNode.start(nodes.length, region, serverWorld)))
    world.#routes = new Routes(nodes, REGIONS)
    return world
  }

  get alive(): ServerNode[] {
    return this.nodes.filter(({ isAlive }) => isAlive)
  }

  anyNode(): ServerNode | undefined {
    const { alive } = this
    return alive[this.random.below(alive.length)]
  }

  kill(nodes: readonly ServerNode[]): void {
    for (const node of nodes) {
      node.kill()
      this.fleet.abandon(node)
    }
    this.time.after(DETECTION_MS, () => this.#routes.remove(nodes))
  }
}

function latencyMs(from: number, to: number): number {
  return from === to ? WITHIN_REGION_MS : BETWEEN_REGIONS_MS
}
