import { describe, expect, it } from '@jest/globals'
import { encodeRendezvous, rendezvous } from '@tryst/protocol'
import type { PeerId } from '../src/peer-identity.ts'
import { TestBench, TestConnection } from './test-bench.ts'
import { TestCluster } from './test-cluster.ts'

const ID = '123456789' as PeerId
const DEVICE = '203.0.113.9'
const MESSAGE = encodeRendezvous({ punchHole: { natType: 0 } })

async function benchWithDevice() {
  const cluster = new TestCluster()
  const bench = new TestBench({}, { cluster })
  await bench.register(ID, DEVICE, { port: 7000 })
  bench.sent.length = 0
  cluster.asked.length = 0
  const { local } = cluster
  if (!local) throw new Error('it has not joined')
  return { bench, cluster, local }
}

describe('a node that retires', () => {
  it('holds no device from that moment on, and pretends to tell them nothing', async () => {
    const { bench, cluster, local } = await benchWithDevice()
    expect([local.holds(ID), local.push(ID, MESSAGE)]).toEqual([DEVICE, 'pushed'])
    const retired = bench.server.retire()
    expect([local.holds(ID), [...local.devices()], local.push(ID, MESSAGE)]).toEqual([undefined, [], 'silent'])
    // One that has come to another node since is looked up once more.
    local.forget(ID)
    expect(local.push(ID, MESSAGE)).toBe('not-mine')
    await retired
    expect([bench.sent.length, cluster.asked]).toEqual([1, ['retire']])
  })

  it('takes no request, and brings those who wait what devices answer', async () => {
    const { bench } = await benchWithDevice()
    const [early, late] = [50_000, 50_001].map((port) => new TestConnection({ ip: '203.0.113.7', port }))
    if (!early || !late) throw new Error('no connections')
    const ask = { punchHoleRequest: { id: ID, natType: rendezvous.NatType.ASYMMETRIC, licenceKey: 'KEY' } }
    await bench.message(early, ask)
    const asked = bench.sent[0]?.message.punchHole
    void bench.server.retire()
    await bench.message(late, ask)
    expect([late.isClosed, bench.server.introducer.waiting.unanswered]).toEqual([true, 1])
    const sent = { punchHoleSent: { socketAddr: asked?.socketAddr ?? MESSAGE, id: ID, relayServer: 'r' } }
    await bench.message(new TestConnection({ ip: DEVICE, port: 8000 }), sent)
    expect([early.received.map(({ union }) => union), late.received]).toEqual([['punchHoleResponse'], []])
  })
})
