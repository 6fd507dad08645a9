import { describe, expect, it } from '@jest/globals'
import { formatIp } from '@tryst/protocol'
import fc from 'fast-check'
import { MAX_V1_BYTES, MAX_V2_BYTES, readProxyHeader } from './proxy-protocol.ts'

const SIGNATURE = '0d0a0d0a000d0a515549540a'
const v2 = (hex: string) => Buffer.from(SIGNATURE + hex.replace(/\s/g, ''), 'hex')
const text = (line: string) => Buffer.from(line, 'latin1')
const source = (ip: string, port: number) => ({ ip, port })

describe('a header of the PROXY protocol, version 1', () => {
  it.each([
    ['IPv4', 'PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n', source('203.0.113.7', 56_324)],
    ['IPv6', 'PROXY TCP6 2001:DB8:0::7 2001:db8::1 0 65535\r\n', source('2001:db8::7', 0)],
    ['IPv4 inside IPv6', 'PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n', source('203.0.113.7', 1)],
    ['nobody', 'PROXY UNKNOWN\r\n', undefined],
    ['nobody, with words', 'PROXY UNKNOWN whatever else\t\r\n', undefined],
  ])('tells of a client: %s', (_, line, client) => {
    expect(readProxyHeader(text(line))).toEqual({ length: line.length, source: client })
  })

  it('may take all the bytes that it can, and not one more', () => {
    const longest = `PROXY UNKNOWN ${'f'.repeat(MAX_V1_BYTES - 16)}`
    expect(readProxyHeader(text(`${longest}\r\n`))).toEqual({ length: MAX_V1_BYTES, source: undefined })
    expect(readProxyHeader(text(`${longest}f\r\n`))).toBe('too_long')
    expect(readProxyHeader(text(`${longest}f`))).toBe('too_long')
    expect(readProxyHeader(text(`${longest.slice(0, -1)}`))).toBe('incomplete')
  })

  it.each([
    'PROXY TCP4 203.0.113.7 192.0.2.1 1 65536\r\n',
    'PROXY TCP4 203.0.113.7 192.0.2.1 01 2\r\n',
    'PROXY TCP4 203.0.113.7 192.0.2.1 +1 2\r\n',
    'PROXY TCP4 203.0.113.7 192.0.2.1 1\r\n',
    'PROXY TCP4 203.0.113.7 192.0.2.1 1 2 3\r\n',
    'PROXY TCP4 203.0.113.7  192.0.2.1 1 2\r\n',
    'PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n',
    'PROXY TCP6 203.0.113.7 192.0.2.1 1 2\r\n',
    'PROXY TCP4 203.0.113.07 192.0.2.1 1 2\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
    'PROXY UDP4 203.0.113.7 192.0.2.1 1 2\r\n',
    'PROXY tcp4 203.0.113.7 192.0.2.1 1 2\r\n',
    'PROXY \r\n',
    'PROXY UNKNOWN\r \n',
  ])('is malformed: %j', (line) => {
    expect(readProxyHeader(text(line))).toBe('malformed')
  })

  it.each(['GET / HTTP/1.1\r\n', 'PROXYTCP4', 'proxy ', 'PROXY\tTCP4', '\0', 'PP', '\r\n\r\nQUIT'])(
    'is no header: %j',
    (line) => {
      expect(readProxyHeader(text(line))).toBe('no_header')
    },
  )
})

describe('a header of the PROXY protocol, version 2', () => {
  const ipv4 = 'cb007107 c0000201 dc04 01bb'
  const ipv6 = '20010db8000000000000000000000007 20010db8000000000000000000000001 dc04 01bb'
  const unix = '2f'.repeat(216)

  it.each([
    ['IPv4', `21 11 000c ${ipv4}`, source('203.0.113.7', 56_324)],
    ['IPv4 over UDP', `21 12 000c ${ipv4}`, source('203.0.113.7', 56_324)],
    ['IPv6', `21 21 0024 ${ipv6}`, source('2001:db8::7', 56_324)],
    ['IPv4 and more to say', `21 11 0013 ${ipv4} 04 0004 00000000`, source('203.0.113.7', 56_324)],
    ['a Unix socket', `21 31 00d8 ${unix}`, undefined],
    ['nobody', '21 00 0000', undefined],
    ['the proxy itself', '20 00 0000', undefined],
    ['the proxy itself, with addresses', `20 11 000c ${ipv4}`, undefined],
    ['the proxy itself, with what means nothing', '20 ff 0003 010203', undefined],
  ])('tells of a client: %s', (_, hex, client) => {
    const bytes = v2(hex)
    expect(readProxyHeader(bytes)).toEqual({ length: bytes.length, source: client })
  })

  it.each([
    ['version 1', '11 11 000c'],
    ['version 3', '31 11 000c'],
    ['an unknown command', '22 11 000c'],
    ['an unknown family', '21 41 000c'],
    ['an unknown transport', '21 13 000c'],
    ['too short a block for IPv4', '21 11 000b'],
    ['too short a block for IPv6', '21 21 000c'],
    ['too short a block for a Unix socket', '21 31 00d7'],
  ])('is malformed: %s', (_, hex) => {
    expect(readProxyHeader(v2(hex))).toBe('malformed')
  })

  it('is refused from its length when it would be too long', () => {
    const rest = MAX_V2_BYTES - 16
    expect(readProxyHeader(v2(`21 11 ${rest.toString(16).padStart(4, '0')}`))).toBe('incomplete')
    expect(readProxyHeader(v2(`21 11 ${(rest + 1).toString(16).padStart(4, '0')}`))).toBe('too_long')
    expect(readProxyHeader(v2('21 11 ffff'))).toBe('too_long')
  })
})

/** Any client and both versions. */
const headers = fc
  .record({
    version: fc.constantFrom(1, 2),
    ip: fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 })),
    port: fc.nat(0xffff),
    more: fc.uint8Array({ maxLength: 600 }),
  })
  .map(({ version, ip, port, more }) => {
    const client = { ip: formatIp(ip), port }
    if (version === 1) {
      const family = client.ip.includes(':') ? 'TCP6' : 'TCP4'
      const server = family === 'TCP6' ? '::1' : '127.0.0.1'
      return { bytes: text(`PROXY ${family} ${client.ip} ${server} ${port} 21116\r\n`), client }
    }
    const ports = Buffer.alloc(4)
    ports.writeUInt16BE(port, 0)
    const block = Buffer.concat([ip, ip, ports, more])
    const start = v2(ip.length === 4 ? '2111 0000' : '2121 0000')
    start.writeUInt16BE(block.length, 14)
    return { bytes: Buffer.concat([start, block]), client }
  })

describe('whatever arrives', () => {
  it('is read to the same client wherever it is cut, and nothing behind the header is looked at', () => {
    fc.assert(
      fc.property(headers, fc.uint8Array({ maxLength: 50 }), ({ bytes, client }, behind) => {
        for (let length = 0; length < bytes.length; length++) {
          if (readProxyHeader(bytes.subarray(0, length)) !== 'incomplete') return false
        }
        const reading = readProxyHeader(Buffer.concat([bytes, behind]))
        expect(reading).toEqual({ length: bytes.length, source: client })
        return true
      }),
      { numRuns: 100 },
    )
  })

  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ maxLength: 5_000 }).map((tail) => Buffer.concat([v2(''), tail])),
    fc.uint8Array({ maxLength: 5_000 }).map((tail) => Buffer.concat([v2('21'), tail])),
    fc.string({ maxLength: 150 }).map((tail) => text(`PROXY ${tail}\r\n`)),
    fc.tuple(headers, fc.nat(), fc.nat(255)).map(([{ bytes }, at, value]) => {
      const changed = Buffer.from(bytes)
      changed[at % changed.length] = value
      return changed
    }),
  )

  it('is never read beyond its bounds, never waited for without end, and settled once and for all', () => {
    fc.assert(
      fc.property(hostile, (bytes) => {
        let settled: ReturnType<typeof readProxyHeader> = 'incomplete'
        for (let length = 0; length <= bytes.length; length += 1 + (length >> 4)) {
          const reading = readProxyHeader(bytes.subarray(0, length))
          if (settled === 'incomplete') settled = reading
          else if (typeof settled === 'object') expect(reading).toEqual(settled)
          else expect(typeof reading).toBe('string')
          if (typeof reading === 'object') expect(reading.length).toBeLessThanOrEqual(length)
          if (length >= MAX_V2_BYTES) expect(reading).not.toBe('incomplete')
        }
      }),
      { numRuns: 500 },
    )
  })
})
