import { describe, expect, it } from '@jest/globals'
import type { KnownNode } from '@tryst/state-redis'
import { LastOffers } from './last-offers.ts'

const OFFERED_MS = 8_000

function relay(...offered: { role?: KnownNode['role']; offeredMs?: number }[]) {
  const time = { nowMs: 100_000, isFresh: true }
  const others = new Map(
    offered.map(({ role = 'id-server', offeredMs }, i) => {
      const incarnation = `${i}` as KnownNode['incarnation']
      const facts = { role, name: '', address: '', version: '', incarnation }
      return [incarnation, offeredMs === undefined ? facts : { ...facts, offeredMs }] as const
    }),
  )
  const node = {
    ...{ others, intervalMs: 1_000 },
    get isFresh() {
      return time.isFresh
    },
  }
  const offers = new LastOffers(node, { redisMs: () => time.nowMs, ownMs: () => time.nowMs })
  offers.look()
  return { time, others, offers, mayCome: () => offers.mayCome(OFFERED_MS) }
}

describe('a relay that has withdrawn', () => {
  it('waits for nobody once it is known that nobody was sent anywhere lately', () => {
    const { time, offers, mayCome } = relay({ offeredMs: 0 }, { offeredMs: 90_000 }, { role: 'relay' })
    expect(mayCome()).toBe(true)
    offers.withdrawn()
    time.nowMs += 3_000
    expect(mayCome()).toBe(true)
    time.nowMs += 900
    expect(mayCome()).toBe(false)
  })

  it('waits for those who may have been sent to it', () => {
    const { time, offers, mayCome } = relay({ offeredMs: 0 }, { offeredMs: 101_000 })
    offers.withdrawn()
    time.nowMs += 5_000
    expect(mayCome()).toBe(true)
    time.nowMs += 4_000
    expect(mayCome()).toBe(false)
  })

  it('waits where an ID server has gone, which may have sent somebody and not said so', () => {
    const { time, others, offers, mayCome } = relay({ offeredMs: 0 }, { offeredMs: 0 })
    offers.withdrawn()
    time.nowMs += 3_000
    others.delete('0' as KnownNode['incarnation'])
    offers.look()
    time.nowMs += OFFERED_MS - 1
    expect(mayCome()).toBe(true)
    time.nowMs += 1
    expect(mayCome()).toBe(false)
  })

  it('waits where it cannot be known', () => {
    const silent = relay({})
    const cut = relay({ offeredMs: 0 })
    cut.time.isFresh = false
    for (const { time, offers, mayCome } of [silent, cut]) {
      offers.withdrawn()
      time.nowMs += 5_000
      expect(mayCome()).toBe(true)
    }
  })
})
