import { describe, expect, it } from '@jest/globals'
import type { Endpoint } from '@tryst/protocol'
import type { Cluster, LocalNode } from '../src/cluster.ts'
import { type Deliver, SimulatedDevice } from '../src/contract/simulated-device.ts'
import type { PeerId } from '../src/peer-identity.ts'
import { MemoryIdentities, TestBench } from './test-bench.ts'
import { TestCluster } from './test-cluster.ts'

const ID = '123456789' as PeerId
const MINUTE_MS = 60_000
const HOME = '203.0.113.9'
const ELSEWHERE = '203.0.113.77'

/** One server, or two that know of one another; packets from an address always reach the same. */
class Site {
  readonly benches: TestBench[]
  readonly #identities = new MemoryIdentities()
  #nodeOf: (from: Endpoint) => number

  constructor(nodes: 1 | 2, { healClones = true } = {}, nodeOf: (from: Endpoint) => number = () => 0) {
    this.#nodeOf = nodeOf
    const locals: LocalNode[] = []
    this.benches = Array.from({ length: nodes }, (_, index) => {
      const settings = { healClones }
      if (nodes === 1) return new TestBench(settings, { identities: this.#identities })
      return new TestBench(settings, { identities: this.#identities, cluster: new LinkedNode(locals, index) })
    })
  }

  get nowMs(): number {
    return this.benches[0]?.nowMs ?? 0
  }

  get rows(): Map<PeerId, { readonly uuid: Uint8Array }> {
    return this.#identities.rows
  }

  get events(): string[] {
    return this.benches.flatMap(({ events }) => events).filter((event) => event.startsWith('cloneFound'))
  }

  get counted(): number {
    return this.benches.reduce((sum, { server }) => sum + server.counters.clones, 0)
  }

  isOnline(id: string): boolean {
    return this.benches.some(({ server, nowMs }) => server.presence.isOnline(id as PeerId, nowMs))
  }

  readonly deliver: Deliver = async (message, from) => {
    const bench = this.benches[this.#nodeOf(from) % this.benches.length] as TestBench
    return bench.datagram(message, from.ip, from.port)
  }

  async run(devices: readonly SimulatedDevice[], ms: number, every: () => void = () => undefined): Promise<void> {
    const endMs = this.nowMs + ms
    while (this.nowMs < endMs) {
      for (const bench of this.benches) bench.passTime(100)
      for (const device of devices) await device.run(this.nowMs)
      for (const { server } of this.benches) server.sweep()
      every()
    }
  }
}

/** Nodes that tell one another at once. */
class LinkedNode extends TestCluster implements Cluster {
  constructor(
    private readonly locals: LocalNode[],
    private readonly index: number,
  ) {
    super()
  }

  override async join(local: LocalNode) {
    this.locals[this.index] = local
  }

  override async claim(id: PeerId) {
    for (const [index, other] of this.locals.entries()) {
      if (index === this.index || other.holds(id) === undefined) continue
      other.forget(id)
      this.locals[this.index]?.took(id)
    }
  }

  override async locate(ids: readonly PeerId[]) {
    return ids.map((id) => {
      const ips = this.locals.filter((_, index) => index !== this.index).map((other) => other.holds(id))
      const ip = ips.find((held) => held !== undefined)
      return ip === undefined ? undefined : { node: 'other' as never, ip }
    })
  }
}

let drawn = 1_000_000_000
const utf8 = new TextEncoder()

function machine(
  site: Site,
  address: Endpoint | (() => Endpoint),
  { isLost, heartbeatAfterMs }: { isLost?: () => boolean; heartbeatAfterMs?: number } = {},
): SimulatedDevice {
  return new SimulatedDevice({
    id: ID,
    uuid: utf8.encode('one image'),
    publicKey: new Uint8Array(32).fill(1),
    address: typeof address === 'function' ? address : () => address,
    deliver: site.deliver,
    drawId: () => String(++drawn),
    ...(isLost ? { isLost } : {}),
    ...(heartbeatAfterMs ? { heartbeatAfterMs } : {}),
  })
}

/** Numbers from 0 to 1, the same in every run. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

const nodeByIp = ({ ip }: Endpoint) => (ip === HOME ? 0 : 1)

describe.each([
  ['at two addresses', 1, ELSEWHERE, undefined],
  ['behind one address', 1, HOME, undefined],
  ['at two nodes', 2, ELSEWHERE, nodeByIp],
  ['behind one address at two nodes', 2, HOME, ({ port }: Endpoint) => (port === 1000 ? 0 : 1)],
] as const)('two machines that were set up from one image, %s', (_, nodes, otherIp, nodeOf) => {
  async function startBoth(options: { healClones?: boolean } = {}, offsetMs = 5_300, beatsMs = [15_000, 15_000]) {
    const site = new Site(nodes, options, nodeOf)
    const [originalMs = 0, newcomerMs = 0] = beatsMs
    const original = machine(site, { ip: HOME, port: 1000 }, { heartbeatAfterMs: originalMs })
    await site.run([original], 40_000)
    const newcomer = machine(site, { ip: otherIp, port: 2000 }, { heartbeatAfterMs: newcomerMs })
    await site.run([original], offsetMs)
    return { site, original, newcomer }
  }

  it.each([
    [100, [15_000, 15_000]],
    [2_900, [15_000, 15_000]],
    [5_300, [15_000, 15_000]],
    [7_700, [15_000, 16_000]],
    [11_300, [16_000, 15_000]],
    [14_900, [16_000, 16_000]],
  ])(
    'have an id of their own within two minutes, the first one keeps its own; the second comes %i ms later',
    async (offsetMs, beatsMs) => {
      const { site, original, newcomer } = await startBoth({}, offsetMs, beatsMs)
      await site.run([original, newcomer], 2 * MINUTE_MS)
      expect(original.ids).toEqual([ID])
      expect(newcomer.ids).toHaveLength(2)
      expect([site.isOnline(original.id), site.isOnline(newcomer.id)]).toEqual([true, true])
      expect(site.events).toHaveLength(1)
      expect(site.counted).toBe(1)
      await site.run([original, newcomer], 5 * MINUTE_MS)
      expect([original.ids.length, newcomer.ids.length]).toEqual([1, 2])
      expect(site.events).toHaveLength(1)
    },
  )

  it('are named in the log with both addresses, now and then, and keep their id where nothing is to be done', async () => {
    const { site, original, newcomer } = await startBoth({ healClones: false })
    await site.run([original, newcomer], 9 * MINUTE_MS)
    expect([...original.ids, ...newcomer.ids]).toEqual([ID, ID])
    const first = nodes === 1 ? `${HOME}:1000` : HOME
    expect(site.events).toEqual([`cloneFound ${ID} ${otherIp}:2000 after ${first}`])
    await site.run([original, newcomer], 5 * MINUTE_MS)
    expect(site.events).toHaveLength(2)
  })
})

it('thirty machines of one image each get an id of their own', async () => {
  const site = new Site(1)
  const machines = Array.from({ length: 30 }, (_, index) => machine(site, { ip: HOME, port: 1000 + index }))
  for (const [index] of machines.entries()) await site.run(machines.slice(0, index + 1), 400)
  await site.run(machines, 10 * MINUTE_MS)
  expect(machines[0]?.id).toBe(ID)
  expect(new Set(machines.map(({ id }) => id)).size).toBe(30)
})

describe.each([
  ['one node', 1],
  ['two nodes', 2],
] as const)('one device on %s', (_, nodes) => {
  const both: readonly [Endpoint, Endpoint] = [
    { ip: HOME, port: 1000 },
    { ip: ELSEWHERE, port: 2000 },
  ]

  async function liveFor(ms: number, address: () => Endpoint, lossShare: number, seed: number) {
    const site = new Site(nodes, {}, nodeByIp)
    const random = randomFrom(seed)
    const device = machine(site, address, { isLost: () => random() < lossShare })
    await site.run([device], ms)
    expect(device.ids).toEqual([ID])
    expect(site.events).toEqual([])
    return { site, device }
  }

  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'keeps its id for ten minutes where every other packet comes from another IP and 30 %% are lost (%i)',
    async (seed) => {
      let packets = 0
      await liveFor(10 * MINUTE_MS, () => both[packets++ % 2] as Endpoint, 0.3, seed)
    },
  )

  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'keeps its id for an hour where each packet comes from either IP by chance and 30 %% are lost (%i)',
    async (seed) => {
      const random = randomFrom(seed * 7919)
      await liveFor(60 * MINUTE_MS, () => both[random() < 0.5 ? 0 : 1] as Endpoint, 0.3, seed)
    },
  )

  it('keeps its id where it moves with each heartbeat, and none is lost', async () => {
    let packets = 0
    await liveFor(60 * MINUTE_MS, () => both[(packets++ >> 1) % 2] as Endpoint, 0, 1)
  })

  it('keeps its id where each packet comes from another port', async () => {
    let port = 1_024
    const { site, device } = await liveFor(60 * MINUTE_MS, () => ({ ip: HOME, port: port++ }), 0.1, 3)
    expect(site.isOnline(device.id)).toBe(true)
  })
})
