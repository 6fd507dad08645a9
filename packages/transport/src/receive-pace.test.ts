import { describe, expect, it } from '@jest/globals'
import { ReceivePace } from './receive-pace.ts'

/** Lets datagrams come at this rate for a while. Returns how long the last pauses were, and how many each ended with. */
function run(pace: ReceivePace, perMs: number, forMs: number, from = { nowMs: 0 }): { pauseMs: number; batch: number } {
  let owed = 0
  let pauseMs = 0
  let batch = 0
  for (const endMs = from.nowMs + forMs; from.nowMs < endMs; ) {
    const stepMs = pauseMs || 0.1
    from.nowMs += stepMs
    owed += perMs * stepMs
    batch = Math.floor(owed)
    owed -= batch
    // Whoever is awakened by a datagram finds one.
    if (pauseMs > 0 || batch > 0) pauseMs = pace.pause(batch, () => from.nowMs)
  }
  return { pauseMs, batch }
}

describe('the pace of receiving', () => {
  it('reads on at once where datagrams are rare', () => {
    expect(run(new ReceivePace(), 0.3, 2_000).pauseMs).toBe(0)
  })

  it('reads on at once where batches are full anyway', () => {
    expect(run(new ReceivePace(), 100, 100).pauseMs).toBe(0)
  })

  it.each([1, 5, 10, 20, 40])('collects some tens at a rate of %i a millisecond, within 4 ms', (perMs) => {
    const { pauseMs, batch } = run(new ReceivePace(), perMs, 500)
    expect(pauseMs).toBeGreaterThanOrEqual(1)
    expect(pauseMs).toBeLessThanOrEqual(4)
    expect(batch).toBeGreaterThanOrEqual(Math.min(4 * perMs, 20))
    expect(batch).toBeLessThanOrEqual(64)
  })

  it('stops pausing soon after a flood has ended', () => {
    const pace = new ReceivePace()
    const from = { nowMs: 0 }
    expect(run(pace, 10, 500, from).pauseMs).toBeGreaterThan(0)
    expect(run(pace, 0, 100, from).pauseMs).toBe(0)
  })

  it('takes its time again after a moment with more than it can collect', () => {
    const pace = new ReceivePace()
    const from = { nowMs: 0 }
    run(pace, 200, 50, from)
    expect(run(pace, 10, 500, from).pauseMs).toBeGreaterThan(0)
  })
})
