import { describe, expect, it } from '@jest/globals'
import { readOnlineStates } from './online-query.ts'

describe('online states', () => {
  it('begin with the most significant bit', () => {
    expect(readOnlineStates(Uint8Array.of(0xa0), 3)).toEqual([true, false, true])
    expect(readOnlineStates(Uint8Array.of(0x00, 0x80), 9)).toEqual([...new Array(8).fill(false), true])
  })

  it('are offline where the answer is too short', () => {
    expect(readOnlineStates(new Uint8Array(0), 2)).toEqual([false, false])
  })
})
