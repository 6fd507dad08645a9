import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { isPrivate } from './private-address.ts'

const RANGES: readonly string[] = ['private', 'carrierGradeNat', 'linkLocal', 'uniqueLocal']

describe('isPrivate', () => {
  it.each(['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', '100.127.0.1', '169.254.0.1'])(
    'holds for %s',
    (ip) => expect(isPrivate(ip)).toBe(true),
  )

  it.each(['fc00::1', 'fd12:3456::1', 'fe80::1', 'febf::1'])('holds for %s', (ip) => expect(isPrivate(ip)).toBe(true))

  it.each(['127.0.0.1', '::1', '203.0.113.7', '172.15.0.1', '172.32.0.1', '100.128.0.1', '2001:db8::fd00', 'fd::1'])(
    'does not hold for %s',
    (ip) => expect(isPrivate(ip)).toBe(false),
  )

  it('agrees with the registry of special addresses', () => {
    const first = fc.oneof(fc.constantFrom(10, 100, 169, 172, 192), fc.nat(255))
    const address = fc.tuple(first, fc.oneof(fc.constantFrom(16, 64, 168, 254), fc.nat(255)), fc.nat(255), fc.nat(255))
    const ipv6 = fc.tuple(fc.integer({ min: 0xf0_00, max: 0xff_ff }), fc.nat(0xff_ff)).map(([a, b]) => {
      return `${a.toString(16)}:${b.toString(16)}::1`
    })
    fc.assert(
      fc.property(
        fc.oneof(
          address.map((octets) => octets.join('.')),
          ipv6,
        ),
        (ip) => {
          expect(isPrivate(ip)).toBe(RANGES.includes(ipaddr.parse(ip).range()))
        },
      ),
    )
  })
})
