/** An IP address in its plain form (`203.0.113.7`, `2001:db8::1`) and a port. Port 0 means that it is not known. */
export interface Endpoint {
  readonly ip: string
  readonly port: number
}

const MAPPED = '::ffff:'

/**
 * The form in which addresses are compared, stored and shown: an IPv4-mapped IPv6 address becomes plain IPv4, a zone
 * is dropped. Takes what a socket reports.
 */
export function normaliseIp(ip: string): string {
  if (ip.charCodeAt(0) !== 58) {
    const zone = ip.indexOf('%')
    return zone < 0 ? ip : ip.slice(0, zone)
  }
  if (ip.startsWith(MAPPED)) {
    const rest = ip.slice(MAPPED.length)
    if (rest.includes('.')) return rest
  }
  return ip
}

/** `203.0.113.7:50000`, `[2001:db8::1]:50000`. */
export function formatEndpoint({ ip, port }: Endpoint): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
}

/** The 4 octets of an IPv4 address, or undefined. */
export function parseIpv4(text: string): Uint8Array | undefined {
  const octets = new Uint8Array(4)
  let index = 0
  let value = -1
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 46
    if (code === 46) {
      if (value < 0 || index > 3) return undefined
      octets[index++] = value
      value = -1
    } else {
      if (code < 48 || code > 57) return undefined
      if (value === 0) return undefined
      value = (value < 0 ? 0 : value * 10) + code - 48
      if (value > 255) return undefined
    }
  }
  return index === 4 ? octets : undefined
}

/** The 16 octets of an IPv6 address without a zone, or undefined. */
export function parseIpv6(text: string): Uint8Array | undefined {
  let source = text
  const lastColon = source.lastIndexOf(':')
  if (source.includes('.')) {
    const v4 = parseIpv4(source.slice(lastColon + 1))
    if (!v4) return undefined
    const [a, b, c, d] = v4 as unknown as [number, number, number, number]
    source = `${source.slice(0, lastColon + 1)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  }
  const halves = source.split('::')
  if (halves.length > 2) return undefined
  const groupsOf = (part: string | undefined) => (part ? part.split(':') : [])
  const head = groupsOf(halves[0])
  const tail = groupsOf(halves[1])
  const gap = 8 - head.length - tail.length
  if (halves.length === 2 ? gap < 1 : gap !== 0) return undefined
  const octets = new Uint8Array(16)
  const groups = [...head, ...new Array<string>(Math.max(gap, 0)).fill('0'), ...tail]
  for (const [i, group] of groups.entries()) {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) return undefined
    const value = Number.parseInt(group, 16)
    octets[2 * i] = value >> 8
    octets[2 * i + 1] = value & 0xff
  }
  return octets
}

/** Text of 4 or 16 octets; IPv6 in the canonical form of RFC 5952, with embedded IPv4 made plain. */
export function formatIp(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join('.')
  const v4 = embeddedIpv4(octets)
  if (v4) return v4.join('.')
  const groups: number[] = []
  for (let i = 0; i < 16; i += 2) groups.push(((octets[i] as number) << 8) | (octets[i + 1] as number))
  let [start, length] = [-1, 1]
  for (let i = 0; i < 8; i++) {
    let run = 0
    while (i + run < 8 && groups[i + run] === 0) run++
    if (run > length) [start, length] = [i, run]
  }
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(':')
  return start < 0 ? text(groups) : `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`
}

/**
 * The IPv4 address inside an IPv4-mapped (`::ffff:a.b.c.d`) or IPv4-compatible (`::a.b.c.d`) IPv6 address. `::1` stays
 * IPv6 (docs/protocol.md, address mangling).
 */
function embeddedIpv4(octets: Uint8Array): Uint8Array | undefined {
  for (let i = 0; i < 10; i++) if (octets[i] !== 0) return undefined
  const marker = ((octets[10] as number) << 8) | (octets[11] as number)
  if (marker !== 0 && marker !== 0xffff) return undefined
  const v4 = octets.subarray(12)
  const isLoopback = marker === 0 && v4[0] === 0 && v4[1] === 0 && v4[2] === 0 && v4[3] === 1
  return isLoopback ? undefined : v4
}

/** 4 or 16 octets of an address in text, with embedded IPv4 made plain; undefined when it is no address. */
export function parseIp(text: string): Uint8Array | undefined {
  if (!text.includes(':')) return parseIpv4(text)
  const v6 = parseIpv6(text)
  return v6 && (embeddedIpv4(v6) ?? v6)
}

/**
 * An address in the form in which it travels in messages, so that no gateway recognises and rewrites it.
 *
 * IPv4, 0 to 11 bytes: `(ip + tm) << 49 | tm << 17 | port + (tm & 0xffff)`, 128 bits little-endian, without trailing
 * zeros, where `ip` is the four octets read as a little-endian number and neither sum is reduced.
 * IPv6, 18 bytes: the 16 octets, then the port little-endian; `tm` is not used.
 *
 * @param tm 32 bits; clients take the microseconds of the clock, we take a secret
 */
export function mangleAddress({ ip, port }: Endpoint, tm: number): Uint8Array {
  const octets = parseIp(ip)
  if (!octets) return new Uint8Array(0)
  if (octets.length === 16) {
    const bytes = new Uint8Array(18)
    bytes.set(octets)
    bytes[16] = port & 0xff
    bytes[17] = port >>> 8
    return bytes
  }
  const [a, b, c, d] = octets as unknown as [number, number, number, number]
  const time = tm >>> 0
  const sum = (a | (b << 8) | (c << 16)) + d * 0x1000000 + time // 33 bits
  const maskedPort = port + (time & 0xffff) // 17 bits
  const bytes = new Uint8Array(11)
  // A double holds 53 bits exactly: port and tm (bits 0 to 48) first, then the address (bits 49 to 81).
  const low = maskedPort + time * 0x20000
  const low32 = low % 0x100000000
  bytes[0] = low32
  bytes[1] = low32 >>> 8
  bytes[2] = low32 >>> 16
  bytes[3] = low32 >>> 24
  const middle = Math.floor(low / 0x100000000) + (sum % 128) * 0x20000 // bits 32 to 55
  bytes[4] = middle
  bytes[5] = middle >>> 8
  bytes[6] = middle >>> 16
  const high = Math.floor(sum / 128) // bits 56 to 81
  bytes[7] = high
  bytes[8] = high >>> 8
  bytes[9] = high >>> 16
  bytes[10] = high >>> 24
  let length = 11
  while (length > 0 && bytes[length - 1] === 0) length--
  return bytes.subarray(0, length)
}

/** A mangled address and the `tm` in it (0 for IPv6). */
export interface UnmangledAddress extends Endpoint {
  readonly tm: number
}

/**
 * The address in a message. Never fails: an empty field is `0.0.0.0:0`, both peers take port 0 for "absent"; a length
 * above 16 other than 18 is `:::0`.
 */
export function unmangleAddress(bytes: Uint8Array): UnmangledAddress {
  if (bytes.length > 16) {
    if (bytes.length !== 18) return { ip: '::', port: 0, tm: 0 }
    return { ip: formatIp(bytes.subarray(0, 16)), port: (bytes[16] as number) | ((bytes[17] as number) << 8), tm: 0 }
  }
  const byte = (i: number) => bytes[i] ?? 0
  const word = (i: number) => (byte(i) | (byte(i + 1) << 8) | (byte(i + 2) << 16) | (byte(i + 3) << 24)) >>> 0
  // tm is bits 17 to 48, the address bits 49 to 80.
  const tm = ((word(2) >>> 1) | (word(6) << 31)) >>> 0
  const masked = ((word(6) >>> 1) | (word(10) << 31)) >>> 0
  const ip = (masked - tm) >>> 0
  const port = ((word(0) & 0xffffff) - (tm & 0xffff)) & 0xffff
  return { ip: `${ip & 0xff}.${(ip >>> 8) & 0xff}.${(ip >>> 16) & 0xff}.${ip >>> 24}`, port, tm }
}
