import { PUNCH_OUTCOMES, type PunchOutcome } from './controllers.ts'
import type { World } from './world.ts'

const SECOND_MS = 1_000

/** Things that are counted for ever. */
export interface Totals {
  readonly heartbeats: number
  readonly registrations: number
  readonly created: number
  readonly moved: number
  readonly redisCommands: number
  readonly linkQuestions: number
  readonly redisBusyUs: number
  readonly nodeBusyMs: number
  readonly overflowed: number
  readonly storeUnavailable: number
}

export interface PhaseFigures {
  readonly name: string
  readonly seconds: number
  readonly devicesOn: number
  readonly served: number
  /** Means in a second. */
  readonly mean: Readonly<Record<Rate, number>>
  /** The largest of one second. */
  readonly peak: Readonly<Record<Rate, number>>
  /** Share of one core. */
  readonly redisBusy: number
  readonly busiestNode: number
  readonly longestRedisQueueMs: number
  readonly receiveQueueOverflows: number
  readonly storeUnavailable: number
  readonly punches: Readonly<Record<PunchOutcome, number>>
  /** Devices that were without a node when it began, and when a share of them was back, in seconds. */
  readonly recovery?: { readonly devices: number; readonly seconds: Readonly<Record<string, number>> }
}

export const RATES = ['heartbeats', 'registrations', 'moved', 'redisCommands', 'linkQuestions'] as const
export type Rate = (typeof RATES)[number]

const SHARES = [0.5, 0.9, 0.99, 0.999, 1] as const

/** Watches the world for a while. */
export class Watch {
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  /** Lets the time of a phase go by. @param each called at the beginning of every second */
  async phase(name: string, seconds: number, each: (second: number) => void): Promise<PhaseFigures> {
    const { time, fleet, redis, controllers } = this.#world
    const begin = this.#totals()
    const punchesBefore = { ...controllers.outcomes }
    const busyBefore = this.#world.nodes.map(({ busyMs }) => busyMs)
    redis.longestQueueMs = 0
    const peak = zeros()
    const { stranded } = fleet
    const back: Record<string, number> = {}
    let before = begin
    let second = 0
    for (; second < seconds; second++) {
      each(second)
      for (let tenth = 1; tenth <= 10; tenth++) {
        await time.advance(SECOND_MS / 10)
        for (const share of SHARES)
          if (fleet.stranded <= stranded * (1 - share)) back[share.toFixed(3)] ??= round(second + tenth / 10)
      }
      const now = this.#totals()
      for (const rate of RATES) peak[rate] = Math.max(peak[rate], now[rate] - before[rate])
      before = now
    }
    const mean = zeros()
    for (const rate of RATES) mean[rate] = round((before[rate] - begin[rate]) / seconds)
    const busiest = Math.max(...this.#world.nodes.map(({ busyMs }, index) => busyMs - (busyBefore[index] ?? 0)))
    return {
      ...{ name, seconds, devicesOn: fleet.on, served: fleet.served, mean, peak },
      redisBusy: round((before.redisBusyUs - begin.redisBusyUs) / 1e6 / seconds),
      busiestNode: round(busiest / 1e3 / seconds),
      longestRedisQueueMs: round(redis.longestQueueMs),
      receiveQueueOverflows: before.overflowed - begin.overflowed,
      storeUnavailable: before.storeUnavailable - begin.storeUnavailable,
      punches: difference(controllers.outcomes, punchesBefore),
      ...(stranded > 0 ? { recovery: { devices: stranded, seconds: back } } : {}),
    }
  }

  #totals(): Totals {
    const { nodes, redis, links } = this.#world
    const counters = nodes.map(({ server }) => server.counters)
    const sum = (read: (each: (typeof counters)[number]) => number) =>
      counters.reduce((all, each) => all + read(each), 0)
    return {
      heartbeats: sum((each) => each.heartbeats),
      registrations: sum(({ registrations: r }) => r.confirmed + r.created + r.moved),
      created: sum((each) => each.registrations.created),
      moved: sum((each) => each.registrations.moved),
      storeUnavailable: sum((each) => each.registrations.store_unavailable),
      redisCommands: redis.commands,
      redisBusyUs: redis.busyUs,
      linkQuestions: links.questions,
      nodeBusyMs: nodes.reduce((all, { busyMs }) => all + busyMs, 0),
      overflowed: nodes.reduce((all, { overflowed }) => all + overflowed, 0),
    }
  }
}

function zeros(): Record<Rate, number> {
  return { heartbeats: 0, registrations: 0, moved: 0, redisCommands: 0, linkQuestions: 0 }
}

function difference(now: Record<PunchOutcome, number>, before: Record<PunchOutcome, number>) {
  const punches = { ...now }
  for (const outcome of PUNCH_OUTCOMES) punches[outcome] -= before[outcome]
  return punches
}

export function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
