import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { NOT_IPV4, packIpv4, unpackIpv4 } from './packed-ipv4.ts'

describe('packIpv4', () => {
  it('gives back every address but the one that nobody sends from', () => {
    fc.assert(
      fc.property(fc.ipV4(), (ip) => {
        fc.pre(ip !== '255.255.255.255')
        expect(unpackIpv4(packIpv4(ip))).toBe(ip)
      }),
    )
  })

  it('gives the same number to no two texts', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789.') }), (text) => {
        const packed = packIpv4(text)
        if (packed !== NOT_IPV4) expect(unpackIpv4(packed)).toBe(text)
      }),
    )
  })

  it.each([
    '',
    '1',
    '1.2.3',
    '1.2.3.',
    '1.2.3.4.',
    '1.2.3.4.5',
    '.1.2.3',
    '1..2.3',
    '256.1.1.1',
    '01.2.3.4',
    '00.0.0.0',
  ])('takes %j for something else than an IPv4 address', (text) => expect(packIpv4(text)).toBe(NOT_IPV4))

  it.each(['::1', '2001:db8::b', '::ffff:203.0.113.7', 'fe80::1%eth0', '1.2.3.4 ', '255.255.255.255'])(
    'leaves %j to be kept as text',
    (text) => expect(packIpv4(text)).toBe(NOT_IPV4),
  )
})
