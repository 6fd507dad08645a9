import { describe, expect, it } from '@jest/globals'
import { newGuid } from './guid.ts'

const hex = (guid: Uint8Array) => Buffer.from(guid).toString('hex')

describe('newGuid', () => {
  it('has the form of a UUID of version 4', () =>
    expect(hex(newGuid(Date.now()))).toMatch(/^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$/))

  it('sorts by time', () => {
    const times = [0, 1, 65_535, 65_536, 1_800_000_000_000, 1_800_000_000_001, 2 ** 48 - 1]
    const guids = times.map((time) => hex(newGuid(time)))
    expect(guids.toSorted()).toEqual(guids)
  })

  it('differs at the same moment', () =>
    expect(new Set(Array.from({ length: 10_000 }, () => hex(newGuid(5)))).size).toBe(10_000))
})
