import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BenchParts, measureIdServer, measureRelay } from './bench.ts'
import { ChildProcesses } from './child-processes.ts'
import { measureCluster } from './cluster-bench.ts'
import { parseOptions } from './options.ts'
import { renderTable } from './result-table.ts'
import type { Row } from './rows.ts'
import { TimeLimit } from './time-limit.ts'

const say = (text: string) => process.stderr.write(`bench: ${text}\n`)
const fail = (error: unknown): never => {
  say(error instanceof Error ? error.message : String(error))
  process.exit(1)
}

const options = readOptions()
if (!existsSync('/proc/self/stat')) fail('processor time is read from /proc, which only Linux has')

const scratch = mkdtempSync(join(tmpdir(), 'tryst-bench-'))
// In this order: exit listeners kill the children first, then their files go.
const children = new ChildProcesses()
process.on('exit', () => rmSync(scratch, { recursive: true, force: true, maxRetries: 3 }))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1))
// Whoever started us over a channel has gone.
process.on('disconnect', () => process.exit(1))

const rows: Row[] = []
const timeLimit = new TimeLimit(options.limitSeconds, () => {
  print()
  fail(
    `not finished within ${options.limitSeconds} s; fewer --devices or --rounds, a shorter --seconds or a longer --limit`,
  )
})
const parts: BenchParts = { options, children, timeLimit, scratch, onStep: say, onRow: (row) => rows.push(row) }

try {
  const { only } = options
  if (only === undefined || only === 'id') await measureIdServer(parts)
  if (only === undefined || only === 'relay') await measureRelay(parts)
  if (only === undefined || only === 'cluster') await measureCluster(parts)
} catch (error) {
  print()
  fail(error)
}
print()
if (rows.some(({ isUnsound }) => isUnsound)) fail('answers were wrong or missing where a line is marked with !')
// The channel to whoever started us would keep us running.
process.exit()

function readOptions() {
  try {
    return parseOptions(process.argv.slice(2))
  } catch (error) {
    return fail(error)
  }
}

function print(): void {
  const [load = 0] = loadavg()
  console.log(
    [
      `\n${renderTable(rows)}\n`,
      `CPU is user and system time of the server's process; a ratio below 1 is less than the baseline needs.`,
      `Node ${process.version}, ${availableParallelism()} processors shared by server and generator, load ${load.toFixed(1)}. Compare ratios, not rates.`,
    ].join('\n'),
  )
}
