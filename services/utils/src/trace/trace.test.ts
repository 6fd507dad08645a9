import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { ATTEMPT_STEPS, RELAY_STEPS, type TracePart, type TraceStep } from '@tryst/rendezvous'
import { SqliteTraceStore } from '@tryst/state-sqlite'
import { runUtils } from '../utils.ts'
import { attemptText } from './trace-text.ts'
import { assemble, outcomeOf, relatedTo } from './traced-attempt.ts'

const START = Date.UTC(2026, 10, 21, 20, 15)
const step = (afterMs: number, name: TraceStep['step'], more: Partial<TraceStep> = {}): TraceStep => ({
  ...{ atMs: START + afterMs, step: name },
  ...more,
})

const asking = (code: string, afterMs: number, more: Partial<TracePart> = {}): TracePart => ({
  ...{ atMs: START + afterMs, node: 'a', role: 'id-server', code, id: '123456789' },
  asked: { kind: 'punch', from: '203.0.113.7:50000', over: 'tcp' },
  steps: [step(afterMs, 'asked')],
  ...more,
})

/** As they are read: the latest first. */
const PARTS: readonly TracePart[] = [
  asking('BBBBBB', 5_000, {
    asked: { kind: 'relay', from: '203.0.113.7:50001', over: 'tcp' },
    steps: [step(5_000, 'asked'), step(5_001, 'refused', { what: 'offline' })],
  }),
  {
    ...{ atMs: START + 900, node: 'c', role: 'relay', session: 's-1' },
    steps: [step(900, 'ended', { what: 'closed', bytes: 1_000, lastedMs: 850 })],
  },
  {
    ...{ atMs: START + 50, node: 'c', role: 'relay', session: 's-1' },
    steps: [step(50, 'paired', { address: '203.0.113.7:50002', partner: '203.0.113.9:6000' })],
  },
  {
    ...{ atMs: START + 2, node: 'b', role: 'id-server', code: 'AAAAAA', id: '123456789' },
    steps: [step(2, 'passed_on', { what: 'pushed', over: 'udp', address: '203.0.113.9:7000' })],
  },
  asking('AAAAAA', 0, {
    session: 's-1',
    steps: [
      step(0, 'asked'),
      step(3, 'pushed', { what: 'punch', node: 'b', over: 'udp' }),
      step(40, 'answered', { what: 'relay-response', address: '203.0.113.9:6001', relay: 'r:1' }),
      step(40, 'ticket', { session: 's-1' }),
    ],
  }),
]

describe('what nodes and relays saw of an attempt', () => {
  it('is put together by its code and its session, in the order of time, each part once', () => {
    const [later, first] = assemble([...PARTS, ...PARTS])
    expect(first?.steps.map(({ at, step: name }) => `${at} ${name}`)).toEqual([
      ...['a asked', 'b passed_on', 'a pushed', 'a answered', 'a ticket', 'c paired', 'c ended'],
    ])
    expect(first && outcomeOf(first)).toBe('relayed 1000 bytes, closed')
    expect(later && outcomeOf(later)).toBe('refused: offline')
    expect(first && relatedTo(first, assemble(PARTS)).map(({ code }) => code)).toEqual(['BBBBBB'])
  })

  it('is told in sentences', () => {
    const [later, first] = assemble(PARTS)
    if (!first || !later) throw new Error('two attempts were expected')
    expect(attemptText(first, [later])).toBe(
      [
        'AAAAAA  2026-11-21 20:15:00.000 UTC  203.0.113.7:50000 (tcp) asked for a way to 123456789',
        'WHEN     WHO SAW IT  WHAT',
        '+0 ms    a           the controller asked',
        '+2 ms    b           told the device for that node, over udp at 203.0.113.9:7000',
        '+3 ms    a           told the device to make a hole, or to bring a relay, by way of node b',
        '+40 ms   a           the device answered from 203.0.113.9:6001: it goes to a relay, relay r:1',
        '+40 ms   a           relays know of the session s-1',
        '+50 ms   relay c     both sides joined: from 203.0.113.7:50002, and 203.0.113.9:6000',
        '+900 ms  relay c     over after 0.8 s and 1000 bytes: a side closed it',
        'Outcome: relayed 1000 bytes, closed',
        'See also, same controller and device: BBBBBB (relay, 5.0 s later)\n',
      ].join('\n'),
    )
  })

  it('has words for every step', () => {
    for (const name of [...ATTEMPT_STEPS, ...RELAY_STEPS]) {
      const [attempt] = assemble([asking('CCCCCC', 0, { steps: [step(0, name, { what: 'some-reason' })] })])
      expect(attempt && attemptText(attempt, [])).not.toContain('undefined')
    }
  })
})

describe('tryst trace', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tryst-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const run = (...argv: string[]) =>
    runUtils({ name: 'tryst', argv: ['trace', ...argv], version: '1', env: {}, cwd: folder, print: () => {} })

  async function write(): Promise<void> {
    const store = new SqliteTraceStore(join(folder, 'trace.sqlite3'), Number.MAX_SAFE_INTEGER)
    await store.write([...PARTS].reverse())
    await store.close()
  }

  it('reads the file in the folder of the server', async () => {
    await write()
    expect(await run('aaaaaa')).toMatchObject({ status: 0, output: expect.stringContaining('by way of node b') })
    const { output } = await run('--last', '1', '--json')
    expect(JSON.parse(output)).toMatchObject([{ code: 'BBBBBB', outcome: 'refused: offline' }])
    expect((await run()).output.split('\n').map((line) => line.slice(0, 6))).toEqual([
      ...['CODE  ', 'BBBBBB', 'AAAAAA', ''],
    ])
  })

  it('says what it does not find, and where it looked', async () => {
    expect(await run('AAAAAA')).toEqual({ status: 1, output: expect.stringContaining('trace.sqlite3') })
    await write()
    expect(await run('ZZZZZZ')).toEqual({ status: 1, output: expect.stringContaining('nothing is known of ZZZZZZ') })
    expect(await run('Z')).toEqual({ status: 1, output: expect.stringContaining('is no code') })
    expect(await run('--last', 'all')).toEqual({ status: 1, output: expect.stringContaining('--last all') })
  })
})
