import { describe, expect, it } from '@jest/globals'
import { healthSessionName, isHealthSession, looksLikeHealthSession } from './health-session.ts'

const KEY = new Uint8Array(64).fill(7)

describe('the session of a health check', () => {
  it('is known by whoever holds the same key', () => {
    expect(isHealthSession(healthSessionName(KEY), KEY)).toBe(true)
  })

  it.each([
    ['another key', healthSessionName(new Uint8Array(64).fill(8))],
    ['no key', healthSessionName(undefined)],
    ['a proof for another session', healthSessionName(KEY).replace(/-[0-9a-f]{16}-/, '-0000000000000000-')],
    ['no proof', 'health-'],
    ['another form', 'f47ac10b-58cc-4372-a567-0e02b2c3d479'],
  ])('is none with %s', (_, name) => {
    expect(isHealthSession(name, KEY)).toBe(false)
  })

  it('has a name of its own each time, whose form the log knows', () => {
    const names = [healthSessionName(KEY), healthSessionName(KEY), healthSessionName(undefined)]
    expect(new Set(names).size).toBe(3)
    expect(names.every(looksLikeHealthSession)).toBe(true)
    expect(looksLikeHealthSession('health')).toBe(false)
  })
})
