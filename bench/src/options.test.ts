import { describe, expect, it } from '@jest/globals'
import { parseOptions } from './options.ts'

describe('parseOptions', () => {
  it('measures everything with 100,000 devices within eight minutes unless told otherwise', () => {
    expect(parseOptions([])).toEqual({ devices: 100_000, seconds: 2, rounds: 3, limitSeconds: 480, only: undefined })
  })

  it.each([
    { argv: ['--devices', 'many'], offender: '--devices many: use a number' },
    { argv: ['--seconds', '60'], offender: '--seconds 60: use a number from 0.2 to 20' },
    { argv: ['--only', 'heartbeats'], offender: '--only heartbeats: use id, relay or cluster' },
    { argv: ['--sessions', '4'], offender: '--sessions' },
  ])('refuses $argv and names what is wrong', ({ argv, offender }) => {
    expect(() => parseOptions(argv)).toThrow(offender)
  })
})
