import { type BenchParts, SHORT_OF_TIME } from './bench.ts'
import { commandsRow, durationRow } from './cluster-rows.ts'
import {
  idServersAtOnePort,
  loneIdServer,
  loneRelay,
  makeKeys,
  oneOfEach,
  type Site,
  twoOfEach,
  twoRelays,
} from './cluster-sites.ts'
import { always, compare } from './comparison.ts'
import type { AskedNode, Job } from './job.ts'
import { NO_REDIS } from './redis-server.ts'
import { requestRow, streamRow } from './rows.ts'

const HEARTBEATING_DEVICES = 10_000
/** What stock clients do. */
const HEARTBEAT_EVERY_SECONDS = 12
/** What a fleet of 240,000 sends. */
const BUSY_PER_SECOND = 20_000
const STEADY_SECONDS = 60
/** Sixteen behind each address, as many addresses as punches use. */
const PUNCHED_DEVICES = 4_096
const SINGLE_PUNCHES = 1_000
const RELAYED_SESSIONS = 200

/** Figures of several nodes that share a Redis, beside one node alone. */
export async function measureCluster(parts: BenchParts): Promise<void> {
  if (NO_REDIS !== undefined) return parts.onStep(`several nodes are skipped: ${NO_REDIS}`)
  await makeKeys(parts)
  await measureSharedFleet(parts)
  await measurePunches(parts)
  await measureJoinedHalves(parts)
  await measureWorkers(parts)
}

/** Two nodes behind one address with a fleet that only sends heartbeats. */
async function measureSharedFleet(parts: BenchParts): Promise<void> {
  const { onStep, onRow, options } = parts
  const { rounds, seconds } = options
  const devices = HEARTBEATING_DEVICES
  onStep(`starting two hbbs on Redis and one on SQLite, with ${devices} devices each`)
  const [two, one] = [await idServersAtOnePort(parts, { devices, nodes: 2 }), await loneIdServer(parts, devices)]
  await compare(pair(two, one), 1, () => REGISTER_ALL)

  onStep('heartbeats, two nodes')
  const heartbeats = await compare(pair(two, one), rounds, () => ({ kind: 'heartbeats', seconds }), enough(parts))
  onRow(requestRow('heartbeats, 2 nodes', '1 node, SQLite', heartbeats))

  onStep(`heartbeats, two nodes, ${BUSY_PER_SECOND} a second`)
  const busyJob = { kind: 'paced-heartbeats', everySeconds: devices / BUSY_PER_SECOND, seconds } as const
  const busy = await compare(pair(two, one), rounds, () => busyJob, enough(parts))
  onRow(requestRow('heartbeats, 2 nodes, 20 k/s', '1 node, SQLite', busy))

  const halfAsBusy = { ...busyJob, everySeconds: 2 * busyJob.everySeconds }
  const each = await compare(
    { ours: always(two.generator, busyJob), baseline: always(one.generator, halfAsBusy) },
    rounds,
    () => busyJob,
    enough(parts),
  )
  onRow(requestRow('heartbeats, 2 nodes, 10 k/s each', '1 node, SQLite, 10 k/s', each))

  onStep(`heartbeats of ${devices} devices every ${HEARTBEAT_EVERY_SECONDS} s, for a minute`)
  const paced = (forSeconds: number) =>
    ({ kind: 'paced-heartbeats', everySeconds: HEARTBEAT_EVERY_SECONDS, seconds: forSeconds }) as const
  const both = (forSeconds: number) =>
    Promise.all([two.generator.run(paced(forSeconds)), one.generator.run(paced(forSeconds))])
  // Once around: the nodes have heard of everybody.
  await both(HEARTBEAT_EVERY_SECONDS)
  const { redis } = two
  const ours = paced(STEADY_SECONDS)
  const [steady, alone] = await Promise.all([
    redis ? redis.counting(() => two.generator.run(ours)) : two.generator.run(ours),
    one.generator.run(ours),
  ])
  onRow(requestRow('heartbeats, 2 nodes, quiet fleet', '1 node, SQLite', [{ ours: steady, baseline: alone }]))
  onRow(
    commandsRow('Redis, 10,000 devices, a node', { measured: steady, each: 2 * steady.seconds, unit: '/s', goal: 2 }),
  )
  await parts.children.stopAll()
}

/** A device at one node, a controller at the other. */
async function measurePunches(parts: BenchParts): Promise<void> {
  const { onStep, onRow, options } = parts
  const { rounds, seconds } = options
  onStep('starting two hbbs and two hbbr on Redis, and one of each alone')
  const cluster = await twoOfEach(parts, PUNCHED_DEVICES)
  const alone = await oneOfEach(parts, PUNCHED_DEVICES)
  await compare(pair(cluster, alone), 1, () => REGISTER_ALL)

  onStep('punches across nodes')
  const job = (asked: AskedNode) => ({ kind: 'punches', connections: 'per-request', seconds, asked }) as const
  const punches = await compare(
    { ours: always(cluster.generator, job('other-node')), baseline: always(cluster.generator, job('same-node')) },
    rounds,
    () => job('same-node'),
    enough(parts),
  )
  onRow(requestRow('punches across nodes', 'device on the same node', punches))

  const single = (asked: AskedNode) => ({ kind: 'single-punches', asked, count: SINGLE_PUNCHES }) as const
  const counted = await cluster.redis?.counting(() => cluster.generator.run(single('other-node')))
  const times = await compare(
    { ours: always(cluster.generator, single('other-node')), baseline: always(cluster.generator, single('same-node')) },
    rounds,
    () => single('same-node'),
    enough(parts),
  )
  onRow(durationRow('punch across nodes, added p50', 'same node', times))
  if (counted)
    onRow(commandsRow('Redis, punch across nodes', { measured: counted, each: counted.units, unit: '', goal: 6 }))

  onStep('relayed sessions with tickets')
  for (const asked of ['same-node', 'other-node'] as const) {
    const sessions = (of: AskedNode) => ({ kind: 'relayed-sessions', asked: of, count: RELAYED_SESSIONS }) as const
    const name = asked === 'same-node' ? 'relayed session' : 'relayed session across nodes'
    const sessionsCounted = await cluster.redis?.counting(() => cluster.generator.run(sessions(asked)))
    const setUp = await compare(
      { ours: always(cluster.generator, sessions(asked)), baseline: always(alone.generator, sessions('same-node')) },
      rounds,
      () => sessions('same-node'),
      enough(parts),
    )
    onRow(durationRow(`${name}, added p50`, '1 of each, no tickets', setUp))
    if (sessionsCounted)
      onRow(commandsRow(`Redis, ${name}`, { measured: sessionsCounted, each: sessionsCounted.units, unit: '' }))
  }
  await parts.children.stopAll()
}

/** Sessions whose halves came to different relays. */
async function measureJoinedHalves(parts: BenchParts): Promise<void> {
  const { onStep, onRow, options } = parts
  const { rounds, seconds } = options
  onStep('starting two hbbr on Redis and one alone')
  const [two, one] = [await twoRelays(parts), await loneRelay(parts)]
  for (const sessions of [1, 16]) {
    const figure = sessions === 1 ? 'joined relays, 1 session' : `joined relays, ${sessions} sessions`
    onStep(figure)
    const job = (halves: AskedNode) => ({ kind: 'relay-streams', sessions, seconds, halves }) as const
    const streams = await compare(
      { ours: always(two.generator, job('other-node')), baseline: always(one.generator, job('same-node')) },
      rounds,
      () => job('same-node'),
      enough(parts),
    )
    onRow(streamRow(figure, '1 relay', streams))
  }
  await parts.children.stopAll()
}

/** One program with two workers. */
async function measureWorkers(parts: BenchParts): Promise<void> {
  const { onStep, onRow, options } = parts
  const { rounds, seconds } = options
  const devices = PUNCHED_DEVICES
  onStep('starting hbbs with one worker and with two')
  const site = (workers: string) => idServersAtOnePort(parts, { devices, nodes: 1, settings: { WORKERS: workers } })
  const [two, one] = [await site('2'), await site('1')]
  await compare(pair(two, one), 1, () => REGISTER_ALL)
  const jobs = {
    heartbeats: { kind: 'heartbeats', seconds },
    punches: { kind: 'punches', connections: 'per-request', seconds, asked: 'same-node' },
  } as const
  for (const [name, job] of Object.entries(jobs)) {
    onStep(`${name}, WORKERS=2`)
    onRow(
      requestRow(
        `${name}, WORKERS=2`,
        'WORKERS=1, Redis',
        await compare(pair(two, one), rounds, () => job, enough(parts)),
      ),
    )
  }
  await parts.children.stopAll()
}

const REGISTER_ALL: Job = { kind: 'registrations', share: 0, shares: 1 }

function pair(ours: Site, baseline: Site) {
  return { ours: ours.generator, baseline: baseline.generator }
}

function enough({ timeLimit }: BenchParts): () => boolean {
  return () => timeLimit.isPast(SHORT_OF_TIME)
}
