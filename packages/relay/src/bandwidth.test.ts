import { describe, expect, it } from '@jest/globals'
import type { FakeClock } from '../test/fake-clock.ts'
import { FakeHalf } from '../test/fake-half.ts'
import { fakeRelay } from '../test/fake-relay.ts'
import { Bandwidth, DEFAULT_BANDWIDTH } from './bandwidth.ts'
import { TokenBucket } from './token-bucket.ts'

const MEBIBIT = 1024 * 1024
const CHUNK_BYTES = 16 * 1024

/** Sends as fast as the relay reads, from each of the given halves, and tells how many Mb/s each managed. */
function flood(clock: FakeClock, senders: readonly FakeHalf[], seconds: number): number[] {
  const sent = senders.map(() => 0)
  const chunk = new Uint8Array(CHUNK_BYTES)
  for (let ms = 0; ms < seconds * 1000; ms++) {
    for (const [i, sender] of senders.entries()) {
      while (sender.isReading) {
        sender.says(chunk)
        sent[i] = (sent[i] ?? 0) + chunk.length
      }
    }
    clock.pass(1)
  }
  return sent.map((bytes) => (bytes * 8) / MEBIBIT / seconds)
}

const bandwidth = (settings: Partial<typeof DEFAULT_BANDWIDTH>) => ({
  bandwidth: { ...DEFAULT_BANDWIDTH, ...settings },
})

describe('a token bucket', () => {
  it('lets a tenth of a second pass at once, then makes wait for what was taken', () => {
    const bucket = new TokenBucket(1000, 0)
    expect(bucket.take(99, 0)).toBe(0)
    expect(bucket.take(501, 0)).toBeGreaterThanOrEqual(500)
    expect(bucket.take(1, 700)).toBe(0)
  })

  it('never holds more than a tenth of a second', () => {
    const bucket = new TokenBucket(1000, 0)
    expect(bucket.take(101, 1_000_000)).toBeGreaterThan(0)
  })

  it('changes its limit at once', () => {
    const bucket = new TokenBucket(1_000_000, 0)
    bucket.setLimit(1000, 0)
    expect(bucket.take(200, 0)).toBeGreaterThanOrEqual(100)
  })
})

describe('the limit of one pair', () => {
  it('holds in each direction, and neither slows the other', () => {
    const { clock, pair } = fakeRelay(bandwidth({ singleMegabits: 8 }))
    const [b, a] = pair()
    const [back = 0, forth = 0] = flood(clock, [b, a], 5)
    expect(back).toBeGreaterThan(7)
    expect(back).toBeLessThan(9)
    expect(forth).toBeGreaterThan(7)
    expect(forth).toBeLessThan(9)
  })

  it('does not hold back a word in one direction while the other is busy', () => {
    const { clock, pair } = fakeRelay(bandwidth({ singleMegabits: 1 }))
    const [b, a] = pair()
    flood(clock, [b], 1)
    expect(b.isReading).toBe(false)
    a.says('mouse')
    expect(b.sent.at(-1)).toBe('mouse')
    expect(a.isReading).toBe(true)
  })

  it('makes reads small where it is small, so that nobody waits for seconds', () => {
    const { pair } = fakeRelay(bandwidth({ singleMegabits: 0.5 }))
    const [b] = pair()
    expect(b.readLimitBytes).toBe(4096)
    const fast = fakeRelay().pair()[0]
    expect(fast.readLimitBytes).toBeGreaterThan(256 * 1024)
  })

  it('is the smaller one for a blacklisted address, as long as it is in the list', () => {
    const { clock, pair, blacklist } = fakeRelay(bandwidth({ singleMegabits: 64, limitedMegabits: 4 }))
    blacklist.add('203.0.113.9')
    const [b, a] = pair()
    const [slow = 0] = flood(clock, [b], 5)
    expect(slow).toBeLessThan(5)
    blacklist.clear()
    a.says('x')
    clock.pass(2_000)
    const [fast = 0] = flood(clock, [b], 5)
    expect(fast).toBeGreaterThan(60)
  })
})

describe('the limit of all pairs together', () => {
  it('is shared by them', () => {
    const { clock, arrive } = fakeRelay(bandwidth({ singleMegabits: 64, totalMegabits: 32 }))
    const senders = ['1', '2', '3'].map((uuid) => {
      const device = arrive()
      device.asks({ uuid })
      arrive().asks({ uuid, id: '123456789' })
      return device
    })
    const total = flood(clock, senders, 5).reduce((sum, rate) => sum + rate, 0)
    expect(total).toBeGreaterThan(28)
    expect(total).toBeLessThan(36)
  })

  it('leaves the way from controllers to devices free while the way back is full', () => {
    const { clock, pair } = fakeRelay(bandwidth({ singleMegabits: 64, totalMegabits: 8 }))
    const [b, a] = pair()
    const [back = 0, forth = 0] = flood(clock, [b, a], 5)
    expect(back).toBeGreaterThan(7)
    expect(forth).toBeGreaterThan(7)
  })

  it('acts at once when it is changed', () => {
    const { clock, pair, relay } = fakeRelay(bandwidth({ singleMegabits: 64, totalMegabits: 64 }))
    const [b] = pair()
    flood(clock, [b], 1)
    relay.setTotalMegabits(2)
    clock.pass(1_000)
    const [slow = 0] = flood(clock, [b], 5)
    expect(slow).toBeLessThan(3)
  })
})

describe('the downgrade', () => {
  const settings = bandwidth({
    singleMegabits: 10,
    limitedMegabits: 1,
    downgradeThreshold: 0.5,
    downgradeStartSeconds: 10,
  })

  it('slows down a pair that is above the threshold for longer than the start time', () => {
    const { clock, pair, heard } = fakeRelay(settings)
    const [b] = pair()
    flood(clock, [b], 9)
    expect(heard.some((event) => event.startsWith('downgraded'))).toBe(false)
    flood(clock, [b], 2)
    expect(heard).toContain(`downgraded ${Math.trunc((10 * MEBIBIT * 50) / 100 / 1000)}`)
    const [slow = 0] = flood(clock, [b], 10)
    expect(slow).toBeLessThan(1.5)
  })

  it('leaves a pair alone that stays below', () => {
    const { clock, pair, heard } = fakeRelay(settings)
    const [b] = pair()
    for (let i = 0; i < 20; i++) {
      b.says(new Uint8Array(200_000)) // 1.5 Mb/s
      clock.pass(1_000)
    }
    expect(heard.some((event) => event.startsWith('downgraded'))).toBe(false)
  })

  it('reads the start time live, and the rest when the pair starts', () => {
    const { clock, pair, heard, relay } = fakeRelay(settings)
    const [b] = pair()
    relay.bandwidth.downgradeStartSeconds = 2
    relay.bandwidth.downgradeThreshold = 100
    flood(clock, [b], 4)
    expect(heard.some((event) => event.startsWith('downgraded'))).toBe(true)
  })

  it('has the threshold that the reference computes from the defaults', () => {
    expect(new Bandwidth(DEFAULT_BANDWIDTH).downgradeBitsPerMs).toBe(88_583)
  })
})

describe('usage', () => {
  it('is known once a pair has been evaluated, the largest first', () => {
    const { clock, relay, arrive } = fakeRelay()
    const [small, large] = ['1', '2'].map((uuid, i) => {
      const device = arrive()
      device.asks({ uuid })
      arrive(new FakeHalf('tcp', { ip: '203.0.113.9', port: i })).asks({ uuid })
      return device
    })
    small?.says(new Uint8Array(1000))
    large?.says(new Uint8Array(2000))
    expect(relay.usage()).toEqual([])
    clock.pass(1_200)
    large?.says(new Uint8Array(1000))
    expect(relay.usage().map(({ remote, totalBits }) => [remote.port, totalBits])).toEqual([
      [1, 16_000],
      [0, 8_000],
    ])
    clock.pass(3_000)
    const [first] = relay.usage()
    expect(first?.totalBits).toBe(24_000)
    expect(first?.highestBitsPerMs).toBeGreaterThan(0)
    expect(first?.lastBitsPerMs).toBe(0)
  })

  it('is counted for the metrics, bytes without headers', () => {
    const { pair, relay } = fakeRelay()
    const [b, a] = pair(new FakeHalf('websocket'), new FakeHalf('tcp'))
    b.says('12345')
    a.says(Buffer.from('0c616263', 'hex'))
    expect(relay.counters.bytesRelayed).toBe(8)
    expect(relay.counters.paired).toBe(1)
  })
})
