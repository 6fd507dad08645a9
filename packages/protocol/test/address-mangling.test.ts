import { expect, it } from '@jest/globals'
import { formatEndpoint, formatIp, mangleAddress, normaliseIp, parseIp, unmangleAddress } from '../src/address.ts'
import { describeVectors, fromHex, toHex } from './vectors.ts'

interface EncodeCase {
  address: string
  tm: string
  hex: string
  decoded: string
}

interface AddressVectors {
  encode: { cases: EncodeCase[] }
  encodeWithRunningClock: { cases: EncodeCase[] }
  decode: { cases: { hex: string; address: string }[] }
  tryIntoV4: { cases: { address: string; converted: string }[] }
}

function parseEndpoint(text: string) {
  const colon = text.lastIndexOf(':')
  const ip = text.slice(0, colon).replace(/^\[|\]$/g, '')
  return { ip: normaliseIp(ip), port: Number(text.slice(colon + 1)) }
}

/** Our text of an address is canonical; the reference writes IPv4 inside IPv6 with dots. */
function canonical(text: string): string {
  const { ip, port } = parseEndpoint(text)
  const octets = parseIp(ip)
  return octets ? formatEndpoint({ ip: formatIp(octets), port }) : `unreadable: ${text}`
}

describeVectors<AddressVectors>('address-mangling.json', (vectors) => {
  it.each([
    ['a fixed clock', vectors.encode.cases],
    ['a running clock', vectors.encodeWithRunningClock.cases],
  ])('writes the same bytes as the reference with %s and reads them back', (_, cases) => {
    for (const { address, tm, hex, decoded } of cases) {
      const clock = Number.parseInt(tm, 16)
      expect([address, tm, toHex(mangleAddress(parseEndpoint(address), clock))]).toEqual([address, tm, hex])
      const read = unmangleAddress(fromHex(hex))
      expect(formatEndpoint(read)).toBe(canonical(decoded))
      if (!decoded.startsWith('[') && hex !== '') expect(read.tm).toBe(clock)
    }
  })

  it('reads whatever stands in an address field as the reference does', () => {
    const read = vectors.decode.cases.map(({ hex }) => [hex, canonical(formatEndpoint(unmangleAddress(fromHex(hex))))])
    expect(read).toEqual(vectors.decode.cases.map(({ hex, address }) => [hex, canonical(address)]))
  })

  it('takes embedded IPv4 addresses for IPv4', () => {
    for (const { address, converted } of vectors.tryIntoV4.cases) expect(canonical(address)).toBe(canonical(converted))
  })
})
