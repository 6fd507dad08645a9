import { describe, expect, it } from '@jest/globals'
import { type DirectFacts, directConnectLimitMs } from './direct-limit.ts'

const facts: DirectFacts = {
  isLocal: false,
  deviceNat: 'asymmetric',
  ownNat: 'asymmetric',
  hasRelay: true,
  punchMs: 400,
  earlierFailures: 0,
}

describe('limit of the direct connection', () => {
  it.each<[string, Partial<DirectFacts>, number]>([
    ['is short in the own network', { isLocal: true, hasRelay: false }, 1_000],
    ['is short to a device behind a symmetric NAT', { deviceNat: 'symmetric', hasRelay: false }, 1_000],
    ['is the whole connect limit without a relay', { hasRelay: false, deviceNat: 'unknown' }, 18_000],
    ['is the whole connect limit between two that can be punched', {}, 18_000],
    ['is six times the punch after earlier failures', { earlierFailures: 1 }, 2_400],
    ['is short from behind a symmetric NAT', { ownNat: 'symmetric' }, 1_000],
    ['is six times the punch when nothing is known', { deviceNat: 'unknown' }, 2_400],
    [
      'is three times the punch when nothing is known and it failed before',
      { deviceNat: 'unknown', earlierFailures: 2 },
      1_200,
    ],
    ['is never below a second', { deviceNat: 'unknown', punchMs: 1 }, 1_000],
  ])('%s', (_, changed, limitMs) => {
    expect(directConnectLimitMs({ ...facts, ...changed })).toBe(limitMs)
  })
})
