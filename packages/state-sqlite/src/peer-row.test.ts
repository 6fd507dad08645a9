import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { formatCreatedAt, judgePeerRow, parseCreatedAt, type RawPeerRow } from './peer-row.ts'

const utf8 = new TextEncoder()
const row = (changes: Partial<RawPeerRow> = {}): RawPeerRow => ({
  idType: 'text',
  id: utf8.encode('123456789'),
  guid: new Uint8Array(16).fill(1),
  uuid: utf8.encode('machine-id'),
  pk: new Uint8Array(32).fill(2),
  createdAt: '2026-11-21 03:54:40',
  info: '{"ip":"::ffff:203.0.113.9"}',
  ...changes,
})

describe('a row of the reference', () => {
  it('is a device with its address in plain form and its time', () => {
    expect(judgePeerRow(row())).toEqual({
      id: '123456789',
      guid: new Uint8Array(16).fill(1),
      uuid: utf8.encode('machine-id'),
      publicKey: new Uint8Array(32).fill(2),
      ip: '203.0.113.9',
      createdMs: Date.UTC(2026, 10, 21, 3, 54, 40),
    })
  })

  it.each([
    ['id-no-text', { idType: 'blob' }],
    ['id-no-text', { id: Uint8Array.of(0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0xfa) }],
    ['id-too-short', { id: utf8.encode('12345') }],
    ['id-too-long', { id: utf8.encode('x'.repeat(101)) }],
    ['uuid-empty', { uuid: new Uint8Array() }],
    ['uuid-too-long', { uuid: new Uint8Array(4_097) }],
    ['key-empty', { pk: new Uint8Array() }],
    ['key-length', { pk: new Uint8Array(5) }],
    ['guid-length', { guid: new Uint8Array(15) }],
  ])('cannot be served: %s', (reason, changes) => {
    expect(judgePeerRow(row(changes))).toBe(reason)
  })

  it.each(['x', '{}', '{"ip":7}', '{"ip":"nowhere"}', '{"ip":""}'])('has no address in %s', (info) => {
    expect(judgePeerRow(row({ info }))).toMatchObject({ ip: '' })
  })
})

describe('the time of creation', () => {
  it('is the same text after any number of ways there and back', () => {
    const seconds = fc.integer({ min: 0, max: 253_402_300_799 })
    fc.assert(fc.property(seconds, (s) => expect(parseCreatedAt(formatCreatedAt(s * 1_000))).toBe(s * 1_000)))
  })

  it.each(['', 'yesterday', '2026-02-30 00:00:00', '2026-11-21', '1700000000'])('is not told by "%s"', (text) => {
    expect(parseCreatedAt(text)).toBeUndefined()
  })

  it('may have fractions of a second, which are cut off', () => {
    expect(parseCreatedAt('2026-11-21T03:54:40.999Z')).toBe(Date.UTC(2026, 10, 21, 3, 54, 40))
  })
})
