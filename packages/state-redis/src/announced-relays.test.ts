import { describe, expect, it } from '@jest/globals'
import type { AnnouncedRelay } from '@tryst/rendezvous'
import { mergeByAddress } from './announced-relays.ts'

const relay = (name: string, more: Partial<AnnouncedRelay> = {}): AnnouncedRelay => ({
  ...{ address: 'relay.example:21117', name, region: '', isDraining: false },
  ...{ capacityBitsPerSecond: 100, loadBitsPerSecond: 10 },
  ...more,
})

describe('relays of one address', () => {
  it('are one that carries what all of them carry', () => {
    const elsewhere = relay('c', { address: 'other.example:21117' })
    expect(mergeByAddress([relay('a'), elsewhere, relay('b', { loadBitsPerSecond: 50 })])).toEqual([
      relay('a', { capacityBitsPerSecond: 200, loadBitsPerSecond: 60 }),
      elsewhere,
    ])
  })

  it('drain when the last of them does', () => {
    const [draining, alsoDraining] = [relay('a', { isDraining: true }), relay('b', { isDraining: true })]
    for (const both of [
      [draining, relay('c')],
      [relay('c'), draining],
    ])
      expect(mergeByAddress(both)).toEqual([relay('c')])
    expect(mergeByAddress([draining, alsoDraining])).toEqual([alsoDraining])
  })
})
