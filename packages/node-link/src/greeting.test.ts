import { describe, expect, it } from '@jest/globals'
import { decideRefusal, encodeWelcome } from './greeting.ts'

const self = { major: 1, minor: 3, program: '1.2.3', incarnation: 'me', name: 'here' }
const greeting = { major: 1, incarnation: 'other', wanted: 'me' }

describe('decideRefusal', () => {
  it('welcomes who wants this process and speaks the same major version', () => {
    expect(decideRefusal(greeting, self)).toBeUndefined()
  })

  it('refuses another major version before anything else', () => {
    expect(decideRefusal({ major: 2, incarnation: 'me', wanted: 'gone' }, self)).toBe('other-version')
  })

  it('refuses itself', () => {
    expect(decideRefusal({ ...greeting, incarnation: 'me' }, self)).toBe('myself')
  })

  it('refuses who wants the process that was here before', () => {
    expect(decideRefusal({ ...greeting, wanted: 'gone' }, self)).toBe('other-incarnation')
  })
})

describe('encodeWelcome', () => {
  it('makes messages of the same length, whatever they say', () => {
    const receptions = ['accepted', 'gone', 'other-version', 'other-incarnation', 'myself'] as const
    expect(new Set(receptions.map((reception) => encodeWelcome(self, reception).length)).size).toBe(1)
  })
})
