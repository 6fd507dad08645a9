import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { fakeRelay } from '../test/fake-relay.ts'
import { runConsoleCommand } from './console.ts'

/** A console on a relay that nobody uses. */
function freshConsole() {
  const { relay, blocklist, blacklist, ...rest } = fakeRelay()
  const ask = (command: string) =>
    runConsoleCommand(command, {
      bandwidth: relay.bandwidth,
      blocklist,
      blacklist,
      setTotalMegabits: (megabits) => relay.setTotalMegabits(megabits),
      usage: () => relay.usage(),
    })
  return { ask, relay, blocklist, blacklist, ...rest }
}

describe('the console', () => {
  it('explains itself', () => {
    const help = freshConsole().ask('h')
    expect(help.split('\n').length).toBe(13)
    expect(help).toMatch(/^blacklist-add\(ba\) <ip>\n/)
    expect(help).toMatch(/\nusage\(u\)\n$/)
  })

  it('changes the lists, several addresses and ranges at once', () => {
    const { ask } = freshConsole()
    expect(ask('Ba 203.0.113.7|10.0.0.0/8|nonsense')).toBe('')
    expect(ask('B')).toBe('203.0.113.7\n10.0.0.0/8\n')
    expect(ask('B 10.1.2.3')).toBe('true\n')
    expect(ask('b 10.1.2.3')).toBe('false\n')
    expect(ask('Br 10.0.0.0/8')).toBe('')
    expect(ask('B 10.1.2.3')).toBe('false\n')
    expect(ask('blocklist-remove all')).toBe('')
    expect(ask('B')).toBe('')
  })

  it.each(['0', '-1', 'x', 'NaN', 'Infinity', '1e3x', ''])('does not take %j for a bandwidth', (value) => {
    const { ask } = freshConsole()
    ask(`sb ${value}`)
    expect(ask('sb')).toBe('128Mb/s\n')
  })

  it('shows what pairs have used', () => {
    const { ask, pair, clock } = freshConsole()
    const [b] = pair()
    for (let i = 0; i < 8; i++) b.says(new Uint8Array(128 * 1024))
    clock.pass(1_500)
    b.says('x')
    expect(ask('u')).toMatch(/^203\.0\.113\.9:50001: 1s 1\.00MB \d+kb\/s \d+kb\/s \d+kb\/s\n$/)
  })
})

const VECTORS = join(
  process.env.VECTORS_DIR ?? join(import.meta.dirname, '../../../../shared/vectors'),
  'transcripts.json',
)
const hasVectors = existsSync(VECTORS)

interface Step {
  readonly console?: string
  readonly command?: string
  readonly answer?: string
}

const describeRecorded = hasVectors ? describe : describe.skip
describeRecorded(`the recorded console${hasVectors ? '' : ' (skipped: VECTORS_DIR has no transcripts.json)'}`, () => {
  const groups: { name: string; transcripts: { name: string; steps: Step[] }[] }[] = hasVectors
    ? JSON.parse(readFileSync(VECTORS, 'utf8')).groups
    : []
  const steps = groups
    .find(({ name }) => name === 'relay-console')
    ?.transcripts.find(({ name }) => name === 'relay console')?.steps

  it('answers every command as the reference does', () => {
    const { ask } = freshConsole()
    const commands = (steps ?? []).filter((step) => step.command !== undefined)
    expect(commands.length).toBeGreaterThan(50)
    for (const { command = '', answer } of commands) expect([command, ask(command)]).toEqual([command, answer])
  })
})
