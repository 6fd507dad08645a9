import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import type { AnnouncedRelay } from '@tryst/rendezvous'
import { Announcement } from './announcement.ts'

const relay: AnnouncedRelay = {
  ...{ address: 'relay.example:21117', name: 'east-1', region: 'east' },
  ...{ capacityBitsPerSecond: 1e9, loadBitsPerSecond: 0, isDraining: false },
}

describe('the announcement of a relay', () => {
  beforeEach(() => void jest.useFakeTimers())
  afterEach(() => void jest.useRealTimers())

  function announcer(announce: () => Promise<void> = async () => {}) {
    const heard: string[] = []
    return {
      heard,
      announce: (said: AnnouncedRelay, leaseMs: number) => {
        heard.push(`${said.loadBitsPerSecond} for ${leaseMs}`)
        return announce()
      },
      withdraw: async (address: string) => void heard.push(`withdrawn ${address}`),
    }
  }

  it('is renewed every second with what is true then, until it is withdrawn', async () => {
    const to = announcer()
    let load = 0
    const announcement = Announcement.start(to, () => ({ ...relay, loadBitsPerSecond: load++ }))
    jest.advanceTimersByTime(2_000)
    expect(to.heard).toEqual(['0 for 3000', '1 for 3000', '2 for 3000'])
    await announcement.withdraw()
    await announcement.withdraw()
    jest.advanceTimersByTime(5_000)
    expect(to.heard.slice(3)).toEqual(['withdrawn relay.example:21117'])
  })

  it('goes on where it could not be renewed', async () => {
    const to = announcer(() => Promise.reject(new Error('Redis is away')))
    const announcement = Announcement.start(to, () => relay)
    await jest.advanceTimersByTimeAsync(3_000)
    expect(to.heard).toHaveLength(4)
    await announcement.withdraw()
  })
})
