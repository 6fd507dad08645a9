import type { SimulationOptions } from './options.ts'
import type { ServerNode } from './server-node.ts'
import { type PhaseFigures, Watch } from './watch.ts'
import { REGIONS, World } from './world.ts'

/** Devices that come in a second, all together, when the fleet is set up: a share of all. */
const ARRIVALS_IN_SECONDS = 100
/** Time for the last ones, and for what their coming has set off. */
const SETTLE_SECONDS = 20
const AFTER_DEATH_SECONDS = 45
const DARK_SECONDS = 45
const AFTER_REGION_SECONDS = 45
const LOST_REGION = 2
const DAY_SECONDS = 86_400
/** A device that goes off comes back after that. */
const OFF_SECONDS = 60
/** A device without an answer tries again every fourth second: so they come when the network is back. */
const RETURN_WITHIN_MS = 4_000
/** Routers that have been without power get another address, half of them. */
const MOVED_SHARE = 0.5

/** Fills a fleet, lets it live, kills one node, then a region with all of its devices. */
export async function runScenario(
  options: SimulationOptions,
  onPhase: (figures: PhaseFigures) => void,
): Promise<World> {
  const world = await World.build(options)
  const { fleet, random, controllers, time } = world
  const watch = new Watch(world)
  const live = () => {
    churn(world, options)
    spread(options.punchesPerSecond, (delayMs) =>
      time.after(delayMs, () => controllers.ask(random.below(fleet.devices))),
    )
  }

  onPhase(
    await watch.phase('the fleet comes', ARRIVALS_IN_SECONDS + SETTLE_SECONDS, (second) => {
      const share = fleet.devices / ARRIVALS_IN_SECONDS
      const [from, to] = [Math.floor(second * share), Math.min(fleet.devices, Math.floor((second + 1) * share))]
      for (let device = from; device < to; device++) time.after(random.below(1_000), () => fleet.switchOn(device))
    }),
  )
  onPhase(await watch.phase('steady, with churn', options.steadySeconds, live))

  const [victim] = world.alive
  world.kill([victim as ServerNode])
  onPhase(await watch.phase('one node dies', AFTER_DEATH_SECONDS, live))

  world.kill(world.alive.filter(({ region }) => region === LOST_REGION))
  for (let device = LOST_REGION; device < fleet.devices; device += REGIONS) fleet.switchOff(device)
  onPhase(await watch.phase('a region is lost', DARK_SECONDS, live))

  for (let device = LOST_REGION; device < fleet.devices; device += REGIONS) {
    if (random.fraction() < MOVED_SHARE) fleet.move(device)
    fleet.strand(device)
    time.after(random.below(RETURN_WITHIN_MS), () => fleet.switchOn(device))
  }
  onPhase(await watch.phase('its devices are back, its nodes are not', AFTER_REGION_SECONDS, live))
  return world
}

/** One second's worth of devices that get another address, or go off for a while. */
function churn({ fleet, random, time }: World, { churnPerDay }: SimulationOptions): void {
  const changes = (fleet.devices * churnPerDay) / DAY_SECONDS
  const count = () => Math.floor(changes + random.fraction())
  spread(count(), (delayMs) =>
    time.after(delayMs, () => {
      const device = random.below(fleet.devices)
      if (fleet.isOn(device)) fleet.move(device)
    }),
  )
  spread(count(), (delayMs) =>
    time.after(delayMs, () => {
      const device = random.below(fleet.devices)
      if (!fleet.isOn(device)) return
      fleet.switchOff(device)
      time.after(OFF_SECONDS * 1_000, () => fleet.switchOn(device))
    }),
  )
}

/** So many times, evenly over a second. */
function spread(count: number, schedule: (delayMs: number) => void): void {
  for (let i = 0; i < count; i++) schedule((i * 1_000) / count)
}
