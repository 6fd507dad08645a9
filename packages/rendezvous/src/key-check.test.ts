import { describe, expect, it } from '@jest/globals'
import { isExpectedKey } from './key-check.ts'

describe('the key of a controller', () => {
  it('has to be the very text, when one is expected', () => {
    expect(isExpectedKey('abc=', 'abc=')).toBe(true)
    for (const wrong of ['', 'abc', 'abd=', 'abc==', ' abc=', 'ABC=']) expect(isExpectedKey('abc=', wrong)).toBe(false)
  })

  it('does not matter when none is expected', () => {
    expect(isExpectedKey(undefined, 'anything')).toBe(true)
  })
})
