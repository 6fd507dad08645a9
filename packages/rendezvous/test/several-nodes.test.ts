import { describe, expect, it } from '@jest/globals'
import { decodeRendezvous, rendezvous } from '@tryst/protocol'
import type { Location, PushOutcome } from '../src/cluster.ts'
import type { PeerId } from '../src/peer-identity.ts'
import { TestBench, TestConnection } from './test-bench.ts'
import { at, away, TestCluster } from './test-cluster.ts'

const { Failure } = rendezvous.PunchHoleResponse
const ID = '123456789'
const DEVICE = '203.0.113.9'
const CONTROLLER = { ip: '203.0.113.7', port: 50_000 }
const ask = { punchHoleRequest: { id: ID, natType: rendezvous.NatType.ASYMMETRIC, licenceKey: 'KEY' } }

/** The device is online here. */
async function benchWithDevice() {
  const cluster = new TestCluster()
  const bench = new TestBench({}, { cluster })
  await bench.register(ID, DEVICE, { port: 7000 })
  bench.sent.length = 0
  cluster.asked.length = 0
  return { bench, cluster, a: new TestConnection(CONTROLLER) }
}

/** The device is known, and heard of by other nodes only. */
async function benchWithoutDevice() {
  const parts = await benchWithDevice()
  parts.bench.server.presence.remove(ID as PeerId)
  return parts
}

const refusals = (connection: TestConnection) =>
  connection.received.map(({ punchHoleResponse }) => punchHoleResponse?.failure)

describe('a controller that asks for a device, with several nodes', () => {
  it('is served without a look-up while the device is heard of here', async () => {
    const { bench, cluster, a } = await benchWithDevice()
    bench.nowMs += 17_000
    await bench.message(a, ask)
    expect(cluster.asked).toEqual([`awaitAnswers ${CONTROLLER.ip}`])
    expect(bench.sent).toHaveLength(1)
  })

  it('reaches a device on another node; one that no node has is offline', async () => {
    const { bench, cluster, a } = await benchWithoutDevice()
    cluster.locations = [at('b')]
    expect(await bench.message(a, ask)).toEqual([])
    expect(cluster.asked).toEqual([`locate ${ID}`, `awaitAnswers ${CONTROLLER.ip}`, `push ${ID} at b`])
    expect(decodeRendezvous(cluster.pushed[0] ?? new Uint8Array()).punchHole?.socketAddr).not.toHaveLength(0)
    cluster.locations = [undefined]
    await bench.message(a, ask)
    expect(refusals(a)).toEqual([Failure.OFFLINE])
  })

  it('has no more than four devices looked up at once, however many it asks for', async () => {
    const { bench, cluster, a } = await benchWithoutDevice()
    const located = Promise.withResolvers<Location | undefined>()
    cluster.locations = [located.promise]
    for (let times = 0; times < 10; times++) await bench.message(a, ask)
    expect(cluster.asked).toHaveLength(4)
    expect(bench.server.counters.requests.too_many).toBe(6)
    // Others are not held up by it.
    await bench.message(new TestConnection({ ip: '203.0.113.8', port: 1 }), ask)
    expect(cluster.asked).toHaveLength(5)
    located.resolve(undefined)
    await bench.settled()
    expect(refusals(a)).toHaveLength(4)
    await bench.message(a, ask)
    expect(refusals(a)).toHaveLength(5)
  })

  it('is not refused when nobody can be asked, since a false refusal would be final', async () => {
    const { bench, cluster, a } = await benchWithoutDevice()
    cluster.locations = [away()]
    expect(await bench.message(a, ask)).toEqual([])
    expect(bench.server.counters.requests.store_unavailable).toBe(1)
  })

  describe('when more than one heartbeat of the device is missing here', () => {
    it('reaches it where it is now', async () => {
      const { bench, cluster, a } = await benchWithDevice()
      bench.nowMs += 17_001
      cluster.locations = [at('b')]
      await bench.message(a, ask)
      expect(cluster.asked).toContain(`push ${ID} at b`)
      expect(bench.sent).toEqual([])
    })

    it.each(['no other node has it', 'no other node can be asked'])('reaches it here where %s', async (why) => {
      const { bench, cluster, a } = await benchWithDevice()
      bench.nowMs += 17_001
      cluster.locations = [why.endsWith('asked') ? away() : undefined]
      await bench.message(a, ask)
      expect(bench.sent.map(({ to }) => to)).toEqual([`${DEVICE}:7000`])
      expect(a.received).toEqual([])
    })

    it('looks again where it was forgotten during the look-up', async () => {
      const { bench, cluster, a } = await benchWithDevice()
      bench.nowMs += 17_001
      const looking = Promise.withResolvers<Location | undefined>()
      cluster.locations = [looking.promise, at('b')]
      await bench.message(a, ask)
      cluster.local?.forget(ID as PeerId)
      looking.resolve(undefined)
      await bench.settled()
      const asked = [`locate ${ID}`, `awaitAnswers ${CONTROLLER.ip}`, `locate ${ID}`, `push ${ID} at b`]
      expect(cluster.asked).toEqual(asked)
      expect(a.received).toEqual([])
    })
  })

  describe('where the node that was found answers', () => {
    const looked = `locate ${ID}`

    async function follow(outcomes: (PushOutcome | Promise<PushOutcome>)[], locations: (Location | undefined)[]) {
      const { bench, cluster, a } = await benchWithoutDevice()
      Object.assign(cluster, { outcomes, locations })
      await bench.message(a, ask)
      const asked = cluster.asked.filter((each) => !each.startsWith('await'))
      return { asked, refused: refusals(a), counted: bench.server.counters.requests }
    }

    it('silent: the device is offline', async () => {
      expect((await follow(['silent'], [at('b')])).refused).toEqual([Failure.OFFLINE])
    })

    it('not mine, and another has it now: it is told there', async () => {
      const { asked, refused, counted } = await follow(['not-mine', 'pushed'], [at('b'), at('c')])
      expect(asked).toEqual([looked, `push ${ID} at b`, looked, `push ${ID} at c`])
      expect(refused).toEqual([])
      expect(counted.punch).toBe(1)
    })

    it('not mine, and nobody has it: it is offline', async () => {
      const { asked, refused } = await follow(['not-mine'], [at('b'), undefined])
      expect(asked).toEqual([looked, `push ${ID} at b`, looked])
      expect(refused).toEqual([Failure.OFFLINE])
    })

    it('not mine, though the look-up names it again: silence, the client repeats itself', async () => {
      const { asked, refused, counted } = await follow(['not-mine'], [at('b')])
      expect(asked).toEqual([looked, `push ${ID} at b`, looked])
      expect(refused).toEqual([])
      expect(counted.node_unavailable).toBe(1)
    })

    it('not mine, and the next one too: nobody goes on from there', async () => {
      const { asked, refused } = await follow(['not-mine'], [at('b'), at('c'), at('d')])
      expect(asked).toEqual([looked, `push ${ID} at b`, looked, `push ${ID} at c`])
      expect(refused).toEqual([])
    })

    it('nothing: silence, since the device may have been told', async () => {
      const unreachable = Promise.reject<PushOutcome>(new Error('unreachable'))
      unreachable.catch(() => undefined)
      const { asked, refused, counted } = await follow([unreachable], [at('b')])
      expect(asked).toEqual([looked, `push ${ID} at b`])
      expect(refused).toEqual([])
      expect(counted.node_unavailable).toBe(1)
    })
  })

  it('reaches a device that came here while another node was asked', async () => {
    const { bench, cluster, a } = await benchWithoutDevice()
    const pushing = Promise.withResolvers<PushOutcome>()
    Object.assign(cluster, { outcomes: [pushing.promise], locations: [at('b')] })
    await bench.message(a, ask)
    await bench.register(ID, DEVICE, { port: 7000 })
    bench.sent.length = 0
    pushing.resolve('not-mine')
    await bench.settled()
    expect(bench.sent.map(({ to }) => to)).toEqual([`${DEVICE}:7000`])
  })

  it('is known to the other nodes before the device is told', async () => {
    const { bench, cluster, a } = await benchWithDevice()
    const announced = Promise.withResolvers<void>()
    cluster.announcing = announced.promise
    await bench.message(a, ask)
    expect(bench.sent).toEqual([])
    announced.resolve()
    await bench.settled()
    expect(bench.sent).toHaveLength(1)
  })

  it('reaches the device even if the other nodes could not be told', async () => {
    const { bench, cluster, a } = await benchWithDevice()
    cluster.announcing = away()
    await bench.message(a, ask)
    expect(bench.sent).toHaveLength(1)
    expect(bench.events).toContain('unavailable request')
  })

  it.each(['look-up', 'announcement', 'second look-up'])(
    'leaves nothing behind when its connection closes during the %s',
    async (phase) => {
      const { bench, cluster, a } = await benchWithoutDevice()
      const looking = Promise.withResolvers<Location | undefined>()
      const announced = Promise.withResolvers<void>()
      if (phase === 'look-up') cluster.locations = [looking.promise]
      if (phase === 'announcement') Object.assign(cluster, { locations: [at('b')], announcing: announced.promise })
      if (phase === 'second look-up') {
        Object.assign(cluster, { locations: [at('b'), looking.promise], outcomes: ['not-mine'] })
      }
      await bench.message(a, ask)
      const pushedBefore = cluster.pushed.length
      a.close()
      bench.server.onClose(a)
      looking.resolve(at('c'))
      announced.resolve()
      await bench.settled()
      expect(bench.server.introducer.waiting.size).toBe(0)
      expect(cluster.pushed).toHaveLength(pushedBefore)
      expect(bench.server.counters.requests.initiator_gone).toBe(1)
    },
  )

  it('is brought no answer from another node that is longer than a device would send', async () => {
    const cluster = new TestCluster()
    const bench = new TestBench({}, { cluster })
    const answer = (version: string) =>
      bench.message(new TestConnection({ ip: DEVICE, port: 6000 }), {
        punchHoleSent: { socketAddr: new Uint8Array(8), id: ID, version },
      })
    await answer('1'.repeat(5_000))
    expect(cluster.asked).toEqual([])
    await answer('1.4.9')
    expect(cluster.asked).toEqual(['answer'])
    expect(bench.server.counters.answers.nobody_waits).toBe(2)
  })

  it('gets no answer that comes 40 s after its last request, however long its connection lives', async () => {
    const { bench, a } = await benchWithDevice()
    await bench.message(a, ask)
    const socketAddr = bench.sent[0]?.message.punchHole?.socketAddr ?? new Uint8Array()
    const sent = { socketAddr, id: ID, version: '1.4.9' }
    const answer = () => bench.message(new TestConnection({ ip: DEVICE, port: 6000 }), { punchHoleSent: sent })
    bench.nowMs += 15_000
    await bench.message(a, ask)
    bench.nowMs += 39_999
    await answer()
    expect(a.received).toHaveLength(1)
    bench.nowMs += 1
    await answer()
    expect(a.received).toHaveLength(1)
  })
})

describe('what a node does for the others', () => {
  it('names the devices that are online here', async () => {
    const { bench, cluster } = await benchWithDevice()
    await bench.register('123456780', '2001:db8::1')
    bench.nowMs += 29_999
    await bench.heartbeat(ID, DEVICE, 7000)
    bench.nowMs += 1
    expect([...(cluster.local?.devices() ?? [])]).toEqual([{ id: ID, ip: DEVICE }])
    expect(cluster.local?.holds(ID as PeerId)).toBe(DEVICE)
    expect(cluster.local?.holds('123456780' as PeerId)).toBeUndefined()
  })

  it('says of a device that it is silent, or not here', async () => {
    const { bench, cluster } = await benchWithDevice()
    const push = () => cluster.local?.push(ID as PeerId, new Uint8Array([8, 0]))
    bench.nowMs += 30_000
    expect(push()).toBe('silent')
    cluster.local?.forget(ID as PeerId)
    expect(push()).toBe('not-mine')
  })

  it('asks a device that it was told to forget for its key, and claims it anew', async () => {
    const { bench, cluster } = await benchWithDevice()
    cluster.local?.forget(ID as PeerId)
    expect(await bench.heartbeat(ID, DEVICE)).toBe(true)
    await bench.register(ID, DEVICE)
    expect(cluster.asked).toEqual([`claim ${ID} ${DEVICE}`])
  })

  it('forgets a device while its own claim is under way, and takes it back with the next registration', async () => {
    const { bench, cluster } = await benchWithoutDevice()
    const claiming = Promise.withResolvers<void>()
    cluster.claiming = claiming.promise
    await bench.register(ID, DEVICE)
    cluster.local?.forget(ID as PeerId)
    claiming.resolve()
    await bench.settled()
    expect(cluster.local?.holds(ID as PeerId)).toBeUndefined()
    await bench.register(ID, DEVICE)
    expect(cluster.local?.holds(ID as PeerId)).toBe(DEVICE)
    expect(cluster.asked).toHaveLength(2)
  })

  it('serves a device whose claim could not be written', async () => {
    const { bench, cluster } = await benchWithoutDevice()
    cluster.claiming = away()
    await bench.register(ID, DEVICE)
    expect(cluster.local?.holds(ID as PeerId)).toBe(DEVICE)
    expect(bench.events).toContain('unavailable presence')
  })
})

describe('a node that is cut off from what the others still have', () => {
  it('answers neither heartbeats nor registrations, so that devices turn to the others', async () => {
    const { bench, cluster } = await benchWithDevice()
    cluster.isCutOff = true
    bench.nowMs += 10_000
    expect(await bench.heartbeat(ID, DEVICE)).toBeUndefined()
    expect(await bench.heartbeat('名'.repeat(20), DEVICE)).toBeUndefined()
    expect(await bench.register(ID, DEVICE)).toBeUndefined()
    expect(bench.server.counters.drops.cut_off).toBe(3)
    bench.nowMs += 20_000
    expect(cluster.local?.holds(ID as PeerId)).toBeUndefined()
  })

  it('claims a device that comes back to it afterwards', async () => {
    const { bench, cluster } = await benchWithDevice()
    cluster.isCutOff = true
    bench.nowMs += 30_000
    bench.server.sweep()
    cluster.isCutOff = false
    expect(await bench.heartbeat(ID, DEVICE, 7000)).toBe(false)
    expect(cluster.asked).toEqual([`release ${ID}`, `claim ${ID} ${DEVICE}`])
  })

  it('still serves controllers', async () => {
    const { bench, cluster, a } = await benchWithDevice()
    cluster.isCutOff = true
    await bench.message(a, ask)
    expect(bench.sent).toHaveLength(1)
  })
})
