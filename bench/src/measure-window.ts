import { setTimeout as sleep } from 'node:timers/promises'
import type { Measured } from './job.ts'
import { cpuUsOf } from './process-usage.ts'

/** Load that goes on by itself between start and stop. The counts only grow. */
export interface Load {
  readonly done: number
  readonly wrong: number
  readonly lost: number
  start(): void
  stop(): void
}

/** Warm is who has worked for a while and has done the same thing often enough for the compiler to have seen to it. */
const WARM_UP_MS = 400
const WARM_UP_UNITS = 3000
const WARM_UP_MAX_MS = 2000

/** Lets the load run and measures what happens in `seconds`, behind a time in which both sides get warm. */
export async function measureWindow(load: Load, serverPids: readonly number[], seconds: number): Promise<Measured> {
  load.start()
  try {
    for (let ms = 0; ms < WARM_UP_MAX_MS && (ms === 0 || load.done < WARM_UP_UNITS); ms += WARM_UP_MS) {
      await sleep(WARM_UP_MS)
    }
    const before = snapshot(load, serverPids)
    await sleep(seconds * 1000)
    return difference(before, snapshot(load, serverPids))
  } finally {
    load.stop()
  }
}

/** Measures what happens until the work is over. */
export async function measureWork(
  counts: Counts,
  serverPids: readonly number[],
  work: () => Promise<void>,
): Promise<Measured> {
  const before = snapshot(counts, serverPids)
  await work()
  return difference(before, snapshot(counts, serverPids))
}

type Counts = Pick<Load, 'done' | 'wrong' | 'lost'>
type Snapshot = ReturnType<typeof snapshot>

function snapshot({ done, wrong, lost }: Counts, serverPids: readonly number[]) {
  const { user, system } = process.cpuUsage()
  return {
    ...{ done, wrong, lost, atMs: performance.now() },
    serverCpuUs: cpuUsOf(serverPids),
    generatorCpuUs: user + system,
  }
}

function difference(from: Snapshot, to: Snapshot): Measured {
  return {
    units: to.done - from.done,
    seconds: (to.atMs - from.atMs) / 1000,
    serverCpuUs: to.serverCpuUs - from.serverCpuUs,
    generatorCpuUs: to.generatorCpuUs - from.generatorCpuUs,
    wrong: to.wrong - from.wrong,
    lost: to.lost - from.lost,
  }
}
