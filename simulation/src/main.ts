import { parseOptions } from './options.ts'
import { renderPhase } from './report.ts'
import { runScenario } from './scenario.ts'
import type { PhaseFigures } from './watch.ts'

const MEBIBYTE = 2 ** 20
// Taken before time is no longer real.
const realNow = performance.now.bind(performance)
const say = (text: string) => process.stdout.write(`${text}\n`)

function readOptions() {
  try {
    return parseOptions(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`simulate: ${(error as Error).message}\n`)
    process.exit(1)
  }
}

const options = readOptions()
const beganMs = realNow()
const phases: PhaseFigures[] = []
const isText = options.format === 'text'
const world = await runScenario(options, (figures) => {
  phases.push(figures)
  if (isText) say(`${renderPhase(figures)}\n`)
})
const { redis, fleet, datagrams } = world
const state = {
  redisKeys: redis.keyspace.size,
  datagramsLost: datagrams.lost,
  repeats: fleet.repeats,
  devicesRefused: fleet.refused,
}
if (isText) {
  say(
    `in Redis ${state.redisKeys} keys; ${state.datagramsLost} datagrams lost, ${state.repeats} repeated, ${state.devicesRefused} devices refused`,
  )
  say(
    `seed ${options.seed}; ${((realNow() - beganMs) / 1000).toFixed(0)} s, ` +
      `${Math.round(process.resourceUsage().maxRSS / 1024)} MiB at most, ${Math.round(process.memoryUsage.rss() / MEBIBYTE)} at the end`,
  )
} else say(JSON.stringify({ options, phases, state }))
process.exit()
