import { setTimeout as sleep } from 'node:timers/promises'
import type { ChildProcesses } from './child-processes.ts'
import { always, type Contestants, compare } from './comparison.ts'
import { GeneratorProcess } from './generator-process.ts'
import type { BenchOptions } from './options.ts'
import { readUsage } from './process-usage.ts'
import { memoryRow, type Row, requestRow, roundTripRows, streamRow } from './rows.ts'
import { baseline, idServer, relay, type ServerProgram, startServer } from './server-process.ts'
import type { TimeLimit } from './time-limit.ts'

export interface BenchParts {
  readonly options: BenchOptions
  readonly children: ChildProcesses
  readonly timeLimit: TimeLimit
  /** A folder for the servers' files; whoever made it removes it. */
  readonly scratch: string
  readonly onStep: (what: string) => void
  readonly onRow: (row: Row) => void
}

/** Memory is looked at when what a burst of work left behind has been collected. */
const SETTLE_MS = 1500
/** From here on one round of each figure has to do. */
export const SHORT_OF_TIME = 0.6
/** Round trips take four times as long when the system puts both sides on one processor: many short rounds instead. */
const TRIP_ROUNDS = 4

/** Figures of the ID server. */
export async function measureIdServer(parts: BenchParts): Promise<void> {
  const { options, onStep, onRow } = parts
  const { devices, seconds, rounds } = options
  onStep(`starting hbbs and two baselines, with ${devices} devices each`)
  const hbbs = await startContestant(parts, idServer(devices), devices)
  const broker = await startContestant(parts, baseline('broker'), devices)
  const echo = await startContestant(parts, baseline('udp-echo'), devices)
  const enough = () => parts.timeLimit.isPast(SHORT_OF_TIME)

  onStep('registrations')
  const before = { ours: hbbs.rssBytes(), baseline: broker.rssBytes() }
  const registrations = await compare(pair(hbbs, broker), rounds, (share) => {
    return { kind: 'registrations', share, shares: rounds }
  })
  onRow(requestRow('registrations', 'bare broker, stores nothing', registrations))
  await sleep(SETTLE_MS)
  onRow(
    memoryRow('bare broker', {
      ours: (hbbs.rssBytes() - before.ours) / devices,
      baseline: (broker.rssBytes() - before.baseline) / devices,
    }),
  )

  onStep('heartbeats')
  const heartbeats = await compare(pair(hbbs, echo), rounds, () => ({ kind: 'heartbeats', seconds }), enough)
  onRow(requestRow('heartbeats', 'UDP echo', heartbeats))

  for (const connections of ['per-request', 'kept'] as const) {
    const figure = connections === 'kept' ? 'punches, kept connection' : 'punches, one connection each'
    onStep(figure)
    const job = { kind: 'punches', connections, seconds, asked: 'same-node' } as const
    const punches = await compare(pair(hbbs, broker), rounds, () => job, enough)
    onRow(requestRow(figure, 'bare broker', punches))
  }
  onStep('punches, encrypted')
  const plain = { kind: 'punches', connections: 'per-request', seconds, asked: 'same-node' } as const
  const ours = always(hbbs.generator, { ...plain, connections: 'encrypted' })
  const encrypted = await compare({ ours, baseline: hbbs.generator }, rounds, () => plain, enough)
  onRow(requestRow('punches, encrypted, one connection each', 'hbbs in the clear', encrypted))
  await parts.children.stopAll()
}

/** Figures of the relay. */
export async function measureRelay(parts: BenchParts): Promise<void> {
  const { options, onStep, onRow } = parts
  const { seconds, rounds } = options
  onStep('starting hbbr and a baseline')
  const both = pair(await startContestant(parts, relay, 0), await startContestant(parts, baseline('tcp-pipe'), 0))
  const enough = () => parts.timeLimit.isPast(SHORT_OF_TIME)

  for (const sessions of [1, 16]) {
    const figure = sessions === 1 ? 'relay, 1 session' : `relay, ${sessions} sessions`
    onStep(figure)
    const streams = await compare(
      both,
      rounds,
      () => ({ kind: 'relay-streams', sessions, seconds, halves: 'same-node' }),
      enough,
    )
    onRow(streamRow(figure, 'TCP pipe', streams))
  }
  onStep('round trips through the relay')
  const trips = await compare(
    both,
    rounds * TRIP_ROUNDS,
    () => ({ kind: 'round-trips', seconds: seconds / TRIP_ROUNDS }),
    enough,
  )
  for (const row of roundTripRows('TCP pipe', trips)) onRow(row)
  await parts.children.stopAll()
}

/** A server and the generator that is made for it. */
interface MeasuredServer {
  readonly generator: GeneratorProcess
  rssBytes(): number
}

async function startContestant(parts: BenchParts, program: ServerProgram, devices: number): Promise<MeasuredServer> {
  const { target, key } = await startServer(program, parts.scratch, parts.children)
  const generator = await GeneratorProcess.start({ target, key, devices }, parts.children)
  return { generator, rssBytes: () => readUsage(target.pids[0] ?? 0).rssBytes }
}

function pair(ours: MeasuredServer, baselineServer: MeasuredServer): Contestants {
  return { ours: ours.generator, baseline: baselineServer.generator }
}
