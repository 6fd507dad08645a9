import { describe, expect, it } from '@jest/globals'
import { encodeRendezvous, rendezvous } from '@tryst/protocol'
import type { PeerId } from '../src/peer-identity.ts'
import { TestBench, TestConnection } from './test-bench.ts'
import { at, away, TestCluster, TestTickets } from './test-cluster.ts'

const ID = '123456789'
const UUID = '0f8fad5b-d9cb-469f-a165-70867728950e'
const DEVICE = '203.0.113.9'
const CONTROLLER = { ip: '203.0.113.7', port: 50_000 }
const ask = {
  punchHoleRequest: { id: ID, natType: rendezvous.NatType.SYMMETRIC, licenceKey: 'KEY', version: '1.4.9' },
}
const requestRelay = (uuid = UUID) => ({ requestRelay: { id: ID, uuid, relayServer: 'r:1', secure: true } })

async function benchWithDevice() {
  const cluster = new TestCluster()
  const tickets = new TestTickets()
  const bench = new TestBench({}, { cluster, tickets })
  await bench.register(ID, DEVICE, { port: 7000 })
  bench.sent.length = 0
  return { bench, cluster, tickets, a: new TestConnection(CONTROLLER) }
}

/** The device's answer that brings a relay, for whoever was told of last. */
function answerWithRelay(bench: TestBench, more: object) {
  const { punchHole, requestRelay: asked } = bench.sent.at(-1)?.message ?? {}
  const socketAddr = (punchHole ?? asked)?.socketAddr ?? new Uint8Array()
  const relayResponse = { socketAddr, relayServer: 'r:1', version: '1.4.9', ...more }
  return bench.message(new TestConnection({ ip: DEVICE, port: 6000 }), { relayResponse })
}

describe('a relayed session', () => {
  it('that the controller asks for has its ticket before the device is told', async () => {
    const { bench, cluster, tickets, a } = await benchWithDevice()
    const written = Promise.withResolvers<void>()
    tickets.writing = written.promise
    await bench.message(a, requestRelay())
    expect(tickets.issued).toEqual([`${UUID} for ${ID}`])
    expect(bench.sent).toEqual([])
    written.resolve()
    await bench.settled()
    expect(bench.sent[0]?.message.requestRelay).toMatchObject({ uuid: UUID })
    expect(cluster.local?.ticketFor(UUID)).toBe(ID)
  })

  it('that the device brings has its ticket before the controller is told, for the device that was asked', async () => {
    const { bench, cluster, tickets, a } = await benchWithDevice()
    await bench.message(a, ask)
    const written = Promise.withResolvers<void>()
    tickets.writing = written.promise
    // Devices need not name themselves.
    await answerWithRelay(bench, { uuid: UUID })
    expect(tickets.issued).toEqual([`${UUID} for ${ID}`])
    expect(a.received).toEqual([])
    written.resolve()
    await bench.settled()
    expect(a.received[0]?.relayResponse).toMatchObject({ uuid: UUID, relayServer: 'r:1' })
    expect(cluster.local?.ticketFor(UUID)).toBe(ID)
  })

  it('has its ticket first also where nothing else has to be waited for', async () => {
    const { bench, cluster, tickets, a } = await benchWithDevice()
    cluster.isAlone = true
    await bench.message(a, ask)
    await answerWithRelay(bench, { uuid: 'an earlier one' })
    const written = Promise.withResolvers<void>()
    tickets.writing = written.promise
    await answerWithRelay(bench, { uuid: UUID })
    expect(a.received).toHaveLength(1)
    written.resolve()
    await bench.settled()
    expect(a.received).toHaveLength(2)
  })

  it('of an answer that arrived at another node has its ticket just as well', async () => {
    const { bench, cluster, tickets, a } = await benchWithDevice()
    await bench.message(a, ask)
    const handle = bench.sent[0]?.message.punchHole?.socketAddr ?? new Uint8Array()
    const message = encodeRendezvous({ relayResponse: { socketAddr: handle, uuid: UUID, version: '1.4.9' } })
    const from = { ip: DEVICE, port: 6000 }
    expect(await cluster.local?.answer({ kind: 'relay-response', handle, id: '', message, from })).toBe(true)
    await bench.settled()
    expect(tickets.issued).toEqual([`${UUID} for ${ID}`])
    expect(a.received).toHaveLength(1)
  })

  it('comes about even if the ticket could not be written, since relays then ask this node', async () => {
    const { bench, cluster, tickets, a } = await benchWithDevice()
    tickets.writing = away()
    await bench.message(a, requestRelay())
    expect(bench.sent).toHaveLength(1)
    expect(bench.events).toContain('unavailable ticket')
    expect(cluster.local?.ticketFor(UUID)).toBe(ID)
    await answerWithRelay(bench, { uuid: UUID })
    expect(a.received).toHaveLength(1)
  })

  it('has one ticket, whichever nodes are asked for the device', async () => {
    const { bench, cluster, tickets, a } = await benchWithDevice()
    bench.server.presence.remove(ID as PeerId)
    Object.assign(cluster, { locations: [at('b'), at('c')], outcomes: ['not-mine', 'pushed'] })
    await bench.message(a, requestRelay())
    expect(cluster.pushed).toHaveLength(2)
    expect(tickets.issued).toHaveLength(1)
  })

  it.each([
    ['nobody is asked for', { id: 'nobody-here' }],
    ['has no uuid', { uuid: '' }],
    ['has a uuid that no relay would take', { uuid: 'u'.repeat(257) }],
  ])('that %s gets no ticket', async (_, more) => {
    const { bench, tickets, a } = await benchWithDevice()
    await bench.message(a, { requestRelay: { ...requestRelay().requestRelay, ...more } })
    expect(tickets.issued).toEqual([])
  })

  it('of an answer that reaches nobody gets no ticket', async () => {
    const { bench, tickets, a } = await benchWithDevice()
    await bench.message(a, ask)
    bench.server.onClose(a)
    await answerWithRelay(bench, { uuid: UUID })
    expect(tickets.issued).toEqual([])
  })

  it('is introduced at once, and not remembered, where relays want no tickets', async () => {
    const { bench, cluster, tickets, a } = await benchWithDevice()
    tickets.writing = undefined
    bench.server.onMessage(a, encodeRendezvous(requestRelay()))
    expect(bench.sent).toHaveLength(1)
    expect(cluster.local?.ticketFor(UUID)).toBeUndefined()
  })
})
