import { describe, expect, it } from '@jest/globals'
import { CONTROL_REFUSALS, type ControlFacts, decideControl } from './control-access.ts'

const nobody: ControlFacts = { rule: 'anyone', hasDeviceInNetwork: false, account: undefined }
const somebody = { userName: 'ada' }

describe('who may ask for devices', () => {
  it('is everybody where anyone may', () => {
    expect(decideControl(nobody)).toBe('allowed')
  })

  it('is whoever comes from a network with a device that is online', () => {
    expect(decideControl({ ...nobody, rule: 'registered', hasDeviceInNetwork: true })).toBe('allowed')
    expect(decideControl({ ...nobody, rule: 'registered' })).toBe('not-registered')
    expect(decideControl({ ...nobody, rule: 'registered', account: somebody })).toBe('not-registered')
  })

  it('is whoever has signed in', () => {
    expect(decideControl({ ...nobody, rule: 'signed-in', account: somebody })).toBe('allowed')
    expect(decideControl({ ...nobody, rule: 'signed-in', hasDeviceInNetwork: true })).toBe('not-signed-in')
  })

  it('is told in words upon which no client tries again by itself', () => {
    for (const text of Object.values(CONTROL_REFUSALS)) expect(text).toContain('not allowed')
  })
})
