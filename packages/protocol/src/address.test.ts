import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { formatIp, mangleAddress, normaliseIp, parseIp, unmangleAddress } from './address.ts'

const port = fc.integer({ min: 0, max: 65535 })
const tm = fc.integer({ min: 0, max: 0xffffffff })
const canonicalIp = (text: string) => formatIp(parseIp(text) ?? new Uint8Array(16))

describe('address mangling', () => {
  it('gives back every IPv4 address, port and tm', () => {
    fc.assert(
      fc.property(fc.ipV4(), port, tm, (ip, port, tm) => {
        const bytes = mangleAddress({ ip, port }, tm)
        expect(bytes.length).toBeLessThanOrEqual(11)
        expect(unmangleAddress(bytes)).toEqual({ ip, port, tm })
      }),
    )
  })

  it('gives back every IPv6 address and port', () => {
    fc.assert(
      fc.property(fc.ipV6(), port, tm, (text, port, tm) => {
        const ip = canonicalIp(text)
        const { ip: readIp, port: readPort } = unmangleAddress(mangleAddress({ ip: text, port }, tm))
        expect([readIp, readPort]).toEqual([ip, port])
      }),
    )
  })

  it('reads any bytes without failing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const { ip, port } = unmangleAddress(bytes)
        expect(parseIp(ip)).toBeDefined()
        expect(port).toBeGreaterThanOrEqual(0)
        expect(port).toBeLessThanOrEqual(65535)
      }),
    )
  })

  it('writes nothing for a text that is no address', () => {
    expect(mangleAddress({ ip: 'relay.example.com', port: 1 }, 0)).toHaveLength(0)
  })
})

describe('addresses in text', () => {
  it('normalises what a dual-stack socket reports', () => {
    expect(normaliseIp('::ffff:203.0.113.7')).toBe('203.0.113.7')
    expect(normaliseIp('fe80::1%eth0')).toBe('fe80::1')
    expect(normaliseIp('::1')).toBe('::1')
  })

  it('reads its own canonical form', () => {
    fc.assert(fc.property(fc.ipV6(), (text) => expect(canonicalIp(canonicalIp(text))).toBe(canonicalIp(text))))
  })

  it.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.4 ',
    '::1::',
    '1:2:3',
    ':::',
    '12345::',
    '::1%eth0',
  ])('refuses %j', (text) => expect(parseIp(text)).toBeUndefined())
})
