import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { Cluster, type ClusterNode } from '../src/cluster/cluster.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { type EndTransport, hashOf, RelayEnd, randomMessages } from '../src/cluster/relay-ends.ts'
import { waitUntil } from '../src/site/wait-until.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(180_000)

const FAST = { SINGLE_BANDWIDTH: '20000', TOTAL_BANDWIDTH: '20000', LIMIT_SPEED: '20000' }
// Sessions need no ID server: what is tried here comes behind its ticket.
const WORKERS = { ...FAST, WORKERS: '2', RELAY_REQUIRE_TICKET: 'N' }
const PAIRS = 200
const AT_ONCE = 20
const EARLY_BYTES = 2_000
const LATE_BYTES = 150_000
const MIXES = [
  ['tcp', 'tcp'],
  ['tcp', 'websocket'],
  ['websocket', 'tcp'],
  ['websocket', 'websocket'],
] as const satisfies readonly (readonly [EndTransport, EndTransport])[]

const suite = NO_REDIS === undefined ? describe : describe.skip
const why = NO_REDIS === undefined ? '' : ` (${NO_REDIS})`

let cluster: Cluster | undefined
afterEach(async () => {
  await cluster?.close()
  cluster = undefined
})

async function startRelay(): Promise<{ cluster: Cluster; relay: ClusterNode }> {
  cluster = await Cluster.start({ hbbs: 0, hbbr: 1, env: WORKERS })
  const relay = cluster.node('hbbr')
  await relay.process.logged(/^workers listening$/)
  // Each knows the other: a worker that nobody has seen yet is joined like a relay on another machine.
  await waitUntil(
    'both workers have seen each other',
    () => relay.process.log.filter(({ msg }) => msg === 'node seen').length >= 2,
  )
  return { cluster, relay }
}

const both = async (relay: ClusterNode, name: string): Promise<number> =>
  (await relay.figure(name, 1)) + (await relay.figure(name, 2))

/** One session: the first speaks at once, both speak when they have met. Throws where a byte is missing. */
async function session(port: number, key: string, transports: readonly [EndTransport, EndTransport]): Promise<void> {
  const uuid = randomUUID()
  const [first, second] = await Promise.all(transports.map((transport) => RelayEnd.open(transport, port)))
  if (!first || !second) throw new Error('no ends')
  const early = randomMessages(EARLY_BYTES)
  const [forth, back] = [randomMessages(LATE_BYTES), randomMessages(LATE_BYTES)]
  try {
    // Both at once: either may be the one that comes second.
    first.ask(uuid, key, early)
    second.ask(uuid, key)
    first.send(forth)
    await waitUntil('the first is heard', () => second.receivedBytes > 0 || second.isClosed, 30_000)
    second.send(back)
    const isDone = () =>
      (second.receivedBytes >= EARLY_BYTES + LATE_BYTES && first.receivedBytes >= LATE_BYTES) ||
      (first.isClosed && second.isClosed)
    await waitUntil('everything has arrived', isDone, 30_000)
    expect([second.receivedBytes, first.receivedBytes]).toEqual([EARLY_BYTES + LATE_BYTES, LATE_BYTES])
    expect([second.hash(), first.hash()]).toEqual([hashOf([...early, ...forth]), hashOf(back)])
  } finally {
    first.close()
    second.close()
  }
}

async function sessions(port: number, key: string, mixes: typeof MIXES | readonly (typeof MIXES)[0][]): Promise<void> {
  for (let at = 0; at < PAIRS; at += AT_ONCE) {
    const some = Array.from({ length: AT_ONCE }, (_, i) => mixes[(at + i) % mixes.length] ?? MIXES[0])
    await Promise.all(some.map((transports) => session(port, key, transports)))
  }
}

suite(`sessions whose sides come to different workers of one relay${why}`, () => {
  it(`carry every byte, ${PAIRS} of them over TCP and WebSockets in all mixes`, async () => {
    const { cluster, relay } = await startRelay()
    await sessions(relay.ports.relay, cluster.key, MIXES)
    expect(await both(relay, 'tryst_relay_paired_total')).toBe(PAIRS)
    expect(await both(relay, 'tryst_relay_handed_over_total')).toBeGreaterThan(0)
    expect(await both(relay, 'tryst_relay_arrivals_total')).toBe(2 * PAIRS)
    expect(await both(relay, 'tryst_relay_dialled_total')).toBe(0)
    expect(relay.process.log.filter(({ level }) => Number(level) >= 50)).toEqual([])
  })

  it('use no link between the workers when both come over TCP', async () => {
    const { cluster, relay } = await startRelay()
    await sessions(relay.ports.relay, cluster.key, [['tcp', 'tcp']])
    expect(await both(relay, 'tryst_relay_paired_total')).toBe(PAIRS)
    expect(await both(relay, 'tryst_relay_dialled_total')).toBe(0)
    expect(await both(relay, 'tryst_relay_joined_total')).toBe(0)
    const [given, taken] = ['tryst_relay_handed_over_total', 'tryst_relay_taken_over_total']
    expect(await both(relay, given)).toBe(await both(relay, taken))
    // The system deals connections out: about half of the pairs come to two workers.
    expect(await both(relay, given)).toBeGreaterThan(PAIRS / 5)
    const bytes = PAIRS * (EARLY_BYTES + 2 * LATE_BYTES)
    expect(await both(relay, 'tryst_relay_bytes_total')).toBeGreaterThanOrEqual(bytes)
    expect(await both(relay, 'tryst_relay_bytes_total')).toBeLessThan(bytes * 1.01)
  })

  it('end or wait, and leave nothing behind, when the worker dies to which one is given', async () => {
    const { cluster, relay } = await startRelay()
    const waiting = await Promise.all(Array.from({ length: 40 }, () => RelayEnd.open('tcp', relay.ports.relay)))
    const uuids = waiting.map(() => randomUUID())
    for (const [i, end] of waiting.entries()) end.ask(uuids[i] ?? '', cluster.key)
    await waitUntil('all wait', async () => (await both(relay, 'tryst_relay_waiting')) === waiting.length)
    const { pid } = relay.process
    const [worker] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
    const partners = await Promise.all(waiting.map(() => RelayEnd.open('tcp', relay.ports.relay)))
    for (const [i, end] of partners.entries()) end.ask(uuids[i] ?? '', cluster.key)
    process.kill(Number(worker), 'SIGKILL')
    await relay.process.logged(/was ended by SIGKILL; it is started again/)
    // Whoever has met at the other worker is heard; all others see an end, or wait where a partner would find them.
    for (const end of partners) end.send([new Uint8Array(10)])
    await waitUntil(
      'nobody is in between',
      async () => {
        const paired = waiting.filter((end) => end.receivedBytes === 10).length
        const ended = partners.filter((end) => end.isClosed).length
        const alone = await relay.figure('tryst_relay_waiting', 1).catch(() => 0)
        const others = await relay.figure('tryst_relay_waiting', 2).catch(() => 0)
        return paired + ended + alone + others >= partners.length
      },
      60_000,
    )
    await session(relay.ports.relay, cluster.key, ['tcp', 'tcp'])
    for (const end of [...waiting, ...partners]) end.close()
  })
})
