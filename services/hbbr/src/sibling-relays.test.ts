import { describe, expect, it } from '@jest/globals'
import type { RelayHalf } from '@tryst/relay'
import { SiblingRelays } from './sibling-relays.ts'

function siblings() {
  const given: unknown[] = []
  return {
    given,
    siblings: new SiblingRelays({
      ...{ group: 'ours', worker: 1 },
      give: (...args) => {
        given.push(args)
        return true
      },
      receive: () => {},
    }),
  }
}

describe('relays of one program', () => {
  it('are known by their program and number', () => {
    const { siblings: all } = siblings()
    const numberOf = (group: string, worker: number, role: 'relay' | 'id-server' = 'relay') =>
      all.numberOf({ role, workers: { group, worker } })
    expect([numberOf('ours', 2), numberOf('ours', 1), numberOf('theirs', 2)]).toEqual([2, undefined, undefined])
    expect(numberOf('ours', 2, 'id-server')).toBeUndefined()
    expect(all.numberOf({ role: 'relay' })).toBeUndefined()
  })

  it('do not give away what is no connection of this machine', () => {
    const { siblings: all, given } = siblings()
    const stream = { transport: 'tcp' } as RelayHalf
    expect(all.give(2, stream, () => new Uint8Array(0))).toBe(false)
    expect(given).toEqual([])
  })
})
