import { describe, expect, it } from '@jest/globals'
import { TestBench, TestConnection } from './test-bench.ts'

const run = (bench: TestBench, line: string, replaced: string[][] = []) =>
  bench.server.onConsoleCommand(line, (relays) => void replaced.push([...relays]))

describe('the text console', () => {
  it('lists its commands, and answers nothing to what it does not know', () => {
    const bench = new TestBench()
    expect(run(bench, 'h').split('\n')).toHaveLength(8)
    expect(run(bench, ' h \n')).toContain('ip-blocker(ib) [<ip>|<number>] [-]\n')
    for (const line of ['', 'x', 'H']) expect(run(bench, line)).toBe('')
  })

  it('shows and replaces the relays', () => {
    const bench = new TestBench()
    const replaced: string[][] = []
    expect(run(bench, 'rs')).toBe('relay.example:21117\n')
    expect(run(bench, 'rs a:1,,b', replaced)).toBe('')
    expect(replaced).toEqual([['a:1', 'b']])
    expect(run(bench, 'tg 1.2.3.4')).toBe('"relay.example:21117"')
    expect(run(bench, 'tg x')).toBe('')
  })

  it('shows and lifts the limits of an address', async () => {
    const bench = new TestBench()
    await bench.register('123456789', '203.0.113.9')
    await bench.register('123456780', '203.0.113.9')
    expect(run(bench, 'ib')).toBe('1\n203.0.113.9: 1/0s 1/0s\n')
    expect(run(bench, 'ib 203.0.113.9 -')).toBe('1\n1/0s 1/0s\n')
    expect(run(bench, 'ib 203.0.113.9')).toBe('0\n')
  })

  it('shows devices that move about', async () => {
    const bench = new TestBench()
    for (const ip of ['203.0.113.9', '203.0.113.10', '203.0.113.11']) await bench.register('123456789', ip)
    expect(run(bench, 'ic')).toBe('1\n123456789: 0s {"203.0.113.10": 1, "203.0.113.11": 1}\n')
    expect(run(bench, 'ic 123456789 -')).toBe('1\n0s {"203.0.113.10": 1, "203.0.113.11": 1}\n')
    expect(run(bench, 'ic')).toBe('0\n')
  })

  it('shows who asked for whom, repeats once', async () => {
    const bench = new TestBench()
    await bench.register('123456789', '203.0.113.9')
    const a = new TestConnection({ ip: '203.0.113.7', port: 1 })
    const request = { punchHoleRequest: { id: '123456789', licenceKey: 'KEY' } }
    await bench.message(a, request)
    await bench.message(a, request)
    await bench.message(new TestConnection({ ip: '203.0.113.8', port: 1 }), request)
    const line = (ip: string) => `2026-01-01T00:00:00Z ${ip} -> 123456789@203.0.113.9\n`
    expect(run(bench, 'pr')).toBe(line('203.0.113.7') + line('203.0.113.8'))
    expect(run(bench, 'pr 1 1')).toBe(line('203.0.113.8'))
    expect(run(bench, 'pr -') + run(bench, 'pr')).toBe('')
  })

  it('switches always-use-relay, and leaves the relays alone', () => {
    const bench = new TestBench()
    expect(run(bench, 'aur')).toBe('ALWAYS_USE_RELAY: false\n')
    expect(run(bench, 'aur y')).toBe('')
    expect(run(bench, 'aur')).toBe('ALWAYS_USE_RELAY: true\n')
    expect(run(bench, 'rs')).toBe('relay.example:21117\n')
    run(bench, 'aur N')
    expect(run(bench, 'aur')).toBe('ALWAYS_USE_RELAY: false\n')
  })
})
