import { describe, expect, it } from '@jest/globals'
import { decodeNatType, encodeNatType, judgeNat } from './nat-test.ts'

describe('NAT type', () => {
  it('is told by the two ports that were seen', () => {
    expect(judgeNat(5, 5)).toBe('asymmetric')
    expect(judgeNat(5, 6)).toBe('symmetric')
    expect(judgeNat(0, 0)).toBe('unknown')
    expect(judgeNat(5, undefined)).toBe('unknown')
  })

  it('survives the wire, and what we do not know is unknown', () => {
    for (const natType of ['unknown', 'asymmetric', 'symmetric'] as const) {
      expect(decodeNatType(encodeNatType(natType))).toBe(natType)
    }
    expect(decodeNatType(7)).toBe('unknown')
  })
})
