import { describe, expect, it } from '@jest/globals'
import { type Admission, decideAdmission, type ListingReason, type Standing } from './device-access.ts'

const cases: readonly [string, ListingReason, Standing, Admission][] = [
  ['open', 'new-device', 'unknown', 'admit'],
  ['open', 'new-device', 'pending', 'admit'],
  ['approve', 'new-device', 'unknown', 'wait'],
  ['approve', 'new-device', 'pending', 'wait'],
  ['approve', 'new-device', 'approved', 'admit'],
  ['approve', 'new-device', 'invited', 'admit'],
  ['approve', 'new-device', 'refused', 'turn-away'],
  ['invite', 'new-device', 'unknown', 'turn-away'],
  ['invite', 'new-device', 'pending', 'turn-away'],
  ['invite', 'new-device', 'refused', 'turn-away'],
  ['invite', 'new-device', 'invited', 'admit'],
  ['invite', 'new-device', 'approved', 'admit'],
  ['open', 'key-changed', 'unknown', 'wait'],
  ['open', 'key-changed', 'invited', 'wait'],
  ['open', 'key-changed', 'approved', 'admit'],
  ['open', 'key-changed', 'refused', 'turn-away'],
  ['invite', 'key-changed', 'unknown', 'wait'],
]

describe('whether a device may register', () => {
  for (const [mode, why, standing, admission] of cases) {
    it(`says ${admission} to a ${standing} device because of "${why}" where access is ${mode}`, () => {
      expect(decideAdmission({ mode: mode as 'open' | 'approve' | 'invite', why, standing })).toBe(admission)
    })
  }
})
