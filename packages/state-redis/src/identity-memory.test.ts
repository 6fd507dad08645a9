import { describe, expect, it } from '@jest/globals'
import type { PeerId } from '@tryst/rendezvous'
import { IdentityMemory } from './identity-memory.ts'

const record = (value: number, ip = '2001:db8::7') => ({
  guid: new Uint8Array(16).fill(value),
  uuid: Uint8Array.from({ length: 256 }, (_, index) => (index + value) & 255),
  publicKey: new Uint8Array(32).fill(255 - value),
  ip,
  version: 1_795_000_000_123_456 + value,
  createdMs: 1_795_000_000_123,
  isDecided: value % 2 === 1,
})

describe('remembered identities', () => {
  it('come back as they were', () => {
    const memory = new IdentityMemory(10)
    for (const value of [0, 1, 127, 255]) {
      memory.set(`${value}` as PeerId, record(value))
      expect(memory.get(`${value}` as PeerId)).toEqual({ ...record(value), isOwed: false })
    }
    memory.set('é' as PeerId, { ...record(1), uuid: new Uint8Array(), ip: '' }, { isOwed: true })
    expect(memory.get('é' as PeerId)).toMatchObject({ uuid: new Uint8Array(), ip: '', isOwed: true })
    expect(memory.get('nobody' as PeerId)).toBeUndefined()
  })

  it.each([
    { to: 'a:b\nc\0é', untilMs: 1_795_000_000_123 },
    { to: '', untilMs: 0 },
    { to: 'new-name', untilMs: undefined },
  ])('come back as they were where the id was given up: %j', (moved) => {
    const memory = new IdentityMemory(10)
    const given = { ...record(3), moved: { ...moved, to: moved.to as PeerId } }
    memory.set('a' as PeerId, given)
    expect(memory.get('a' as PeerId)).toEqual({ ...given, isOwed: false })
    memory.set('a' as PeerId, { ...given, ip: '' })
    expect(memory.get('a' as PeerId)).toMatchObject({ ip: '', moved: given.moved })
    memory.forget('a' as PeerId)
    expect(memory.has('a' as PeerId)).toBe(false)
  })

  it('are no more than allowed; the ones longest not seen go', () => {
    const memory = new IdentityMemory(3)
    for (const id of ['a', 'b', 'c', 'a', 'd'] as PeerId[]) memory.set(id, record(1))
    expect(memory.ids()).toEqual(['c', 'a', 'd'])
    memory.touch('c' as PeerId)
    memory.touch('nobody' as PeerId)
    memory.set('e' as PeerId, record(1))
    expect(memory.ids()).toEqual(['d', 'c', 'e'])
    expect(memory.size).toBe(3)
  })
})
