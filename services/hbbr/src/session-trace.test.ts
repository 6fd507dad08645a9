import { describe, expect, it } from '@jest/globals'
import type { RelayEvents } from '@tryst/relay'
import { SessionTrace } from './session-trace.ts'

const DEVICE = { ip: '203.0.113.9', port: 7000 }
const CONTROLLER = { ip: '203.0.113.7', port: 0 }

function traced() {
  const logged: string[] = []
  const log = new Proxy({} as RelayEvents, {
    get: (_, name) => () => void logged.push(String(name)),
  })
  return { trace: new SessionTrace(log, () => 1_000), logged }
}

describe('what a relay notes of sessions', () => {
  it('is what became of each, under its name; the log has it, too', () => {
    const { trace, logged } = traced()
    trace.waiting('one', DEVICE)
    trace.paired('one', CONTROLLER, 'raw', DEVICE, '123456789')
    trace.turnedAway('no_ticket', CONTROLLER, 'two')
    trace.turnedAway('malformed', CONTROLLER, '')
    trace.pairEnded('closed', CONTROLLER, 1_234.5, 8_000, 'one')
    expect(trace.take('r')).toEqual([
      {
        ...{ atMs: 1_000, node: 'r', role: 'relay', session: 'one' },
        steps: [
          { atMs: 1_000, step: 'waiting', address: '203.0.113.9:7000' },
          { atMs: 1_000, step: 'paired', address: '203.0.113.7', partner: '203.0.113.9:7000' },
          { atMs: 1_000, step: 'ended', address: '203.0.113.7', what: 'closed', bytes: 1_000, lastedMs: 1_235 },
        ],
      },
      {
        ...{ atMs: 1_000, node: 'r', role: 'relay', session: 'two' },
        steps: [{ atMs: 1_000, step: 'turned_away', address: '203.0.113.7', what: 'no_ticket' }],
      },
    ])
    expect(trace.take('r')).toEqual([])
    expect(logged).toEqual(['waiting', 'paired', 'turnedAway', 'turnedAway', 'pairEnded'])
  })

  it('leaves out those by which servers probe themselves', () => {
    const { trace, logged } = traced()
    trace.waiting('one', DEVICE)
    trace.paired('one', CONTROLLER, 'raw', DEVICE, 'probe-udp-0123abcd')
    trace.pairEnded('closed', CONTROLLER, 10, 80, 'one')
    expect(trace.take('r')).toEqual([])
    expect(logged).toHaveLength(3)
  })

  it('is bounded for each second and source, but has the end of what is left out', () => {
    const { trace } = traced()
    for (let index = 0; index < 300; index++) trace.turnedAway('no_ticket', CONTROLLER, `session-${index}`)
    expect(trace.take('r')).toHaveLength(200)
    expect(trace.counts).toEqual({ recorded: 200, left_out: 100 })
    for (let turn = 0; turn < 3; turn++) {
      for (let index = 0; index < 200; index++) trace.turnedAway('no_ticket', CONTROLLER, `more-${turn}-${index}`)
      expect(trace.take('r')).toHaveLength(turn < 2 ? 200 : 0)
    }
    trace.pairEnded('idle', CONTROLLER, 1, 8, 'late')
    expect(trace.take('r')).toHaveLength(1)
  })
})
