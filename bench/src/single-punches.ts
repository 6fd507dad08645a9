import type { Measured } from './job.ts'
import { measureWork } from './measure-window.ts'
import { PunchLoad, type PunchOptions } from './punches.ts'
import { durationsOf } from './statistics.ts'

/** Punches one after the other, each with how long it took. */
export async function measureSinglePunches(
  options: Omit<PunchOptions, 'connections'> & { readonly count: number },
): Promise<Measured> {
  const tookMs: number[] = []
  const { promise: enough, resolve } = Promise.withResolvers<void>()
  const load = new PunchLoad({
    ...options,
    connections: 'per-request',
    controllers: 1,
    onSettled: (ms) => {
      if (tookMs.push(ms) === options.count) resolve()
    },
  })
  const measured = await measureWork(load, options.target.pids, async () => {
    load.start()
    await enough
    load.stop()
  })
  return { ...measured, durations: durationsOf(tookMs) }
}
