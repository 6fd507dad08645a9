import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { type PeerId, StoreUnavailableError } from '@tryst/rendezvous'
import { IdentityMemory } from './identity-memory.ts'
import { IdentityWriteBack } from './identity-write-back.ts'
import { RedisKeys } from './keys.ts'
import type { RedisConnection, ScriptCall } from './redis-connection.ts'

const DEVICES = 10_000
const MINUTE_MS = 60_000

describe('writing back', () => {
  const memory = new IdentityMemory(DEVICES)
  let calls: ScriptCall[]
  let isAway: boolean
  let writeBack: IdentityWriteBack

  for (let index = 0; index < DEVICES; index++) {
    const record = { guid: new Uint8Array(16), uuid: new Uint8Array(36), publicKey: new Uint8Array(32) }
    memory.set(`${index}` as PeerId, { ...record, ip: '203.0.113.7', version: 7, createdMs: 7, isDecided: false })
  }

  beforeEach(() => {
    jest.useFakeTimers()
    calls = []
    isAway = false
    const connection = {
      ...{ keys: new RedisKeys('test:'), settings: { cluster: [] } },
      grouped: <T>(items: Iterable<T>) => [[...items]],
      runAll: async (asked: ScriptCall[]) => {
        calls.push(...asked)
        return asked.map(({ keys }) => (isAway ? new StoreUnavailableError('away') : keys.map(() => 'restored 7')))
      },
    }
    const events = { restored: () => {}, contradicted: () => {}, renamed: () => {} }
    writeBack = new IdentityWriteBack(connection as unknown as RedisConnection, memory, events)
  })

  afterEach(() => {
    writeBack.close()
    jest.useRealTimers()
  })

  const written = () => new Set(calls.flatMap(({ keys }) => keys)).size

  it('goes over 10,000 devices within five minutes, with a command every five seconds', async () => {
    await jest.advanceTimersByTimeAsync(2 * MINUTE_MS)
    calls = []
    await jest.advanceTimersByTimeAsync(MINUTE_MS)
    expect(calls.length).toBeLessThan(15)
    await jest.advanceTimersByTimeAsync(4 * MINUTE_MS)
    expect(written()).toBe(DEVICES)
  })

  it('has 10,000 devices back in a second after a loss', async () => {
    writeBack.start()
    await jest.advanceTimersByTimeAsync(1_000)
    expect(written()).toBe(DEVICES)
  })

  it('goes on when Redis is back', async () => {
    isAway = true
    writeBack.start()
    await jest.advanceTimersByTimeAsync(10_000)
    expect(calls.length).toBeLessThan(25)
    isAway = false
    calls = []
    await jest.advanceTimersByTimeAsync(2_000)
    expect(written()).toBe(DEVICES)
  })
})
