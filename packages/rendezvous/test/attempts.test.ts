import { describe, expect, it } from '@jest/globals'
import { rendezvous } from '@tryst/protocol'
import { AttemptRecorder, takePart } from '../src/attempt-recorder.ts'
import type { TracePart } from '../src/attempt-trace.ts'
import type { LocalNode } from '../src/cluster.ts'
import type { NodeId } from '../src/peer-identity.ts'
import { PairCluster } from './pair-cluster.ts'
import { TestBench, TestConnection } from './test-bench.ts'

const { Failure } = rendezvous.PunchHoleResponse
const ID = '123456789'
const DEVICE = '203.0.113.9'
const CONTROLLER = { ip: '203.0.113.7', port: 50_000 }
const CODE = / \(([0-9A-HJKMNP-TV-Z]{6})\)$/
const punch = (more: object = {}) => ({ punchHoleRequest: { id: ID, licenceKey: 'KEY', natType: 1, ...more } })
const relay = (more: object = {}) => ({ requestRelay: { id: ID, uuid: 'session-1', ...more } })

function recordingBench(nodes = new Map<NodeId, LocalNode>(), name = 'a', settings = {}) {
  let drawn = 0
  const attempts = new AttemptRecorder({ clock: () => bench.nowMs, random: () => ++drawn })
  const cluster = new PairCluster(name, nodes)
  const bench = new TestBench(settings, { attempts, cluster })
  return { bench, attempts, parts: () => attempts.take().map((attempt) => takePart(attempt, { node: name })) }
}

const stepsOf = ({ steps }: TracePart) => steps.map(({ atMs: _, ...step }) => step)

describe('the record of an attempt', () => {
  it('tells from the request to the end who was asked how, and what came of it', async () => {
    const { bench, parts } = recordingBench()
    await bench.register(ID, DEVICE, { port: 7000 })
    const a = new TestConnection(CONTROLLER)
    await bench.message(a, punch())
    const socketAddr = bench.sent.at(-1)?.message.punchHole?.socketAddr ?? new Uint8Array()
    bench.passTime(40)
    const response = { socketAddr, id: ID, uuid: 'session-1', relayServer: 'r:1', version: '1.4.9' }
    await bench.message(new TestConnection({ ip: DEVICE, port: 6001 }), { relayResponse: response })
    bench.server.onClose(a)
    const [part, ...others] = parts()
    expect(others).toEqual([])
    expect(part).toMatchObject({
      ...{ node: 'a', role: 'id-server', code: '000001', id: ID, session: 'session-1' },
      asked: { kind: 'punch', from: '203.0.113.7:50000', over: 'tcp' },
    })
    expect(part && stepsOf(part)).toEqual([
      { step: 'asked' },
      { step: 'pushed', what: 'punch', over: 'udp', address: '203.0.113.9:7000' },
      { step: 'answered', what: 'relay-response', address: '203.0.113.9:6001', relay: 'r:1' },
      { step: 'ticket', session: 'session-1' },
      { step: 'left', what: 'answered' },
    ])
    expect((part?.steps[2]?.atMs ?? 0) - (part?.atMs ?? 0)).toBe(40)
    expect(parts()).toEqual([])
  })

  it('keeps one code for what a connection repeats, and has another for another device', async () => {
    const { bench, parts } = recordingBench()
    const a = new TestConnection(CONTROLLER)
    await bench.message(a, punch())
    await bench.message(a, punch())
    await bench.message(a, punch({ id: '987654321' }))
    expect(parts().map((part) => [part.code, stepsOf(part).map(({ step }) => step)])).toEqual([
      ['000001', ['asked', 'refused', 'asked_again', 'refused']],
      ['000002', ['asked', 'refused']],
    ])
  })

  it('has steps on the node of the controller and on that of the device', async () => {
    const nodes = new Map<NodeId, LocalNode>()
    const a = recordingBench(nodes, 'a')
    const b = recordingBench(nodes, 'b')
    await b.bench.register(ID, DEVICE, { port: 7000 })
    await a.bench.message(new TestConnection(CONTROLLER), relay())
    const [asking] = a.parts()
    expect(asking && stepsOf(asking)).toEqual([
      { step: 'asked' },
      { step: 'ticket', session: 'session-1' },
      { step: 'pushed', what: 'relay', over: 'udp', node: 'b' },
    ])
    expect(b.parts()).toEqual([
      {
        ...{ atMs: b.bench.nowMs, node: 'b', role: 'id-server', code: asking?.code, id: ID },
        steps: [{ atMs: b.bench.nowMs, step: 'passed_on', what: 'pushed', over: 'udp', address: '203.0.113.9:7000' }],
      },
    ])
  })

  it('is bounded: what is too much in a second has no code and is counted', async () => {
    const { bench, attempts, parts } = recordingBench()
    let codes = 0
    for (let times = 0; times < 300; times++) {
      const [answer] = await bench.message(new TestConnection({ ip: '203.0.113.7', port: times + 1 }), punch())
      if (answer?.punchHoleResponse?.otherFailure) codes++
      expect(answer?.punchHoleResponse?.failure).toBe(Failure.ID_NOT_EXIST)
    }
    expect(codes).toBe(200)
    expect(parts()).toHaveLength(200)
    expect(attempts.counts).toEqual({ recorded: 200, left_out: 100 })
    bench.passTime(60_000)
    const counts: number[] = []
    for (let second = 0; second < 5; second++) {
      for (let times = 0; times < 200; times++) await bench.message(new TestConnection(CONTROLLER), punch())
      counts.push(parts().length)
    }
    expect(counts).toEqual([200, 200, 200, 0, 0])
    const again = new TestConnection({ ip: '203.0.113.8', port: 1 })
    for (let times = 0; times < 100; times++) await bench.message(again, punch())
    expect(parts().map(({ steps }) => steps.length)).toEqual([16])
  })
})

describe('the code of an attempt in what its client shows', () => {
  async function textsFor(settings: object, message: ReturnType<typeof punch> | ReturnType<typeof relay>) {
    const { bench, parts } = recordingBench(new Map(), 'a', settings)
    await bench.register(ID, DEVICE, { port: 7000 })
    bench.passTime(31_000)
    const [answer] = await bench.message(new TestConnection(CONTROLLER), message)
    const text = answer?.punchHoleResponse?.otherFailure || answer?.relayResponse?.refuseReason || ''
    const [part] = parts()
    expect(CODE.exec(text)?.[1]).toBe(part?.code)
    return { text: text.replace(CODE, ''), failure: answer?.punchHoleResponse?.failure, last: part?.steps.at(-1)?.what }
  }

  it('stands behind the words that clients have for a failure, whose number stays', async () => {
    expect(await textsFor({}, punch())).toEqual({
      ...{ text: 'Remote desktop is offline', failure: Failure.OFFLINE, last: 'offline' },
    })
    expect(await textsFor({}, punch({ id: 'nobody-here' }))).toEqual({
      ...{ text: 'ID does not exist', failure: Failure.ID_NOT_EXIST, last: 'unknown_id' },
    })
  })

  it('stands behind what the server says in its own words', async () => {
    expect(await textsFor({}, punch({ licenceKey: 'wrong' }))).toMatchObject({
      ...{ failure: Failure.LICENSE_MISMATCH, text: expect.stringContaining('Key mismatch'), last: 'key_mismatch' },
    })
    expect(await textsFor({ allowControl: 'signed-in' }, punch())).toMatchObject({
      ...{ text: expect.stringContaining('not allowed'), last: 'not_allowed' },
    })
    expect(await textsFor({}, relay())).toMatchObject({ text: 'Remote desktop is offline', last: 'offline' })
    expect(await textsFor({}, relay({ licenceKey: 'wrong' }))).toMatchObject({ last: 'key_mismatch' })
  })
})
