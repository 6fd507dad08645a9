import type { Job, Measured } from './job.ts'
import { median } from './statistics.ts'

/** The same job done by both servers, one right after the other. */
export interface Round {
  readonly ours: Measured
  readonly baseline: Measured
}

/** Whoever does jobs, one at a time. */
export interface Contestant {
  run(job: Job): Promise<Measured>
}

export interface Contestants {
  readonly ours: Contestant
  readonly baseline: Contestant
}

/** Does this job, whatever the other one does. */
export const always = (contestant: Contestant, job: Job): Contestant => ({ run: () => contestant.run(job) })

/** Alternates between both servers, so that whatever else the machine does befalls both. */
export async function compare(
  { ours, baseline }: Contestants,
  rounds: number,
  jobOf: (round: number) => Job,
  isEnough: () => boolean = () => false,
): Promise<Round[]> {
  const done: Round[] = []
  for (let round = 0; round < rounds && (round === 0 || !isEnough()); round++) {
    const job = jobOf(round)
    const measuredBaseline = await baseline.run(job)
    done.push({ baseline: measuredBaseline, ours: await ours.run(job) })
  }
  return done
}

/** Median of what `value` reads from each measurement, for both servers, and median of its ratio within a round. */
export interface Compared {
  readonly ours: number
  readonly baseline: number
  readonly ratio: number
}

export function medians(rounds: readonly Round[], value: (measured: Measured) => number): Compared {
  return {
    ours: median(rounds.map(({ ours }) => value(ours))),
    baseline: median(rounds.map(({ baseline }) => value(baseline))),
    ratio: median(rounds.map(({ ours, baseline }) => value(ours) / value(baseline))),
  }
}

export const cpuUsPerUnit = ({ serverCpuUs, units }: Measured): number => serverCpuUs / units
export const unitsPerSecond = ({ units, seconds }: Measured): number => units / seconds
