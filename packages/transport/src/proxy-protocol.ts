import { type Endpoint, formatIp, parseIp } from '@tryst/protocol'

/** What stands at the beginning of a connection that a proxy has opened for a client. */
export type ProxyHeaderReading =
  /** It may become a header: more bytes have to come. */
  | 'incomplete'
  /** Why it is none. */
  | BrokenProxyHeader
  | ProxyHeader

/** `no_header`: something else; `too_long`: beyond what we take; `malformed`: a header that contradicts itself. */
export type BrokenProxyHeader = 'no_header' | 'too_long' | 'malformed'

export interface ProxyHeader {
  /** Bytes that it takes; what follows is the client's. */
  readonly length: number
  /** The client; undefined where the proxy speaks for itself, or for somebody without an IP address. */
  readonly source: Endpoint | undefined
}

/** Of version 1, its line end included; the most that its specification allows. */
export const MAX_V1_BYTES = 107
/** Of version 2: the fixed part, the largest addresses, and room for what proxies add behind them (16 + 216 + 3864). */
export const MAX_V2_BYTES = 4_096

const V1_START = Buffer.from('PROXY ')
const V2_START = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a])

/**
 * Reads a header of the PROXY protocol, version 1 (one line of text) or 2 (binary). Never looks behind the header, and
 * says as early as it can that there is none.
 */
export function readProxyHeader(bytes: Uint8Array): ProxyHeaderReading {
  if (bytes[0] === V2_START[0]) return beginsLike(bytes, V2_START) ? readV2(bytes) : 'no_header'
  return beginsLike(bytes, V1_START) ? readV1(bytes) : 'no_header'
}

/** As far as there are bytes. */
function beginsLike(bytes: Uint8Array, start: Uint8Array): boolean {
  const length = Math.min(bytes.length, start.length)
  for (let at = 0; at < length; at++) if (bytes[at] !== start[at]) return false
  return true
}

const CR = 0x0d
const LF = 0x0a

/** `PROXY TCP4 SOURCE DESTINATION PORT PORT\r\n`, TCP6 alike, or `PROXY UNKNOWN` with anything up to the line's end. */
function readV1(bytes: Uint8Array): ProxyHeaderReading {
  const end = bytes.subarray(0, MAX_V1_BYTES - 1).indexOf(CR)
  if (end < 0) return bytes.length < MAX_V1_BYTES - 1 ? 'incomplete' : 'too_long'
  const afterCr = bytes[end + 1]
  if (afterCr === undefined) return 'incomplete'
  if (afterCr !== LF) return 'malformed'
  const length = end + 2
  const [, family, ...fields] = Buffer.from(bytes.subarray(0, end)).toString('latin1').split(' ')
  if (family === 'UNKNOWN') return { length, source: undefined }
  if ((family !== 'TCP4' && family !== 'TCP6') || fields.length !== 4) return 'malformed'
  const addresses = fields.slice(0, 2)
  const [source, destination] = addresses.map(parseIp)
  const [port, destinationPort] = fields.slice(2).map(readPort)
  if (addresses.some((address) => address.includes(':') !== (family === 'TCP6'))) return 'malformed'
  if (!source || !destination || port === undefined || destinationPort === undefined) return 'malformed'
  return { length, source: { ip: formatIp(source), port } }
}

/** Decimal, without leading zeros. */
function readPort(text: string): number | undefined {
  const port = /^(0|[1-9]\d{0,4})$/.test(text) ? Number(text) : 0x1_0000
  return port > 0xffff ? undefined : port
}

const FIXED_BYTES = 16
const VERSION_2 = 2

const LOCAL = 0
const PROXY = 1

const LAST_TRANSPORT = 2

/** Octets of one IP address and bytes of the whole block, by family; the families without an IP address have no octets. */
const FAMILIES = [
  { octets: 0, blockBytes: 0 },
  { octets: 4, blockBytes: 12 },
  { octets: 16, blockBytes: 36 },
  { octets: 0, blockBytes: 216 },
] as const

/**
 * Signature of 12 bytes; version and command; family and transport; length of the rest in two bytes, big-endian. The
 * rest is both addresses, both ports, and whatever else the proxy has to say, which is skipped.
 */
function readV2(bytes: Uint8Array): ProxyHeaderReading {
  const [versionAndCommand, familyAndTransport, high, low] = bytes.subarray(V2_START.length, FIXED_BYTES)
  if (versionAndCommand === undefined) return 'incomplete'
  const command = versionAndCommand & 0x0f
  if (versionAndCommand >> 4 !== VERSION_2 || command > PROXY) return 'malformed'
  if (familyAndTransport === undefined || high === undefined || low === undefined) return 'incomplete'
  const restBytes = high * 256 + low
  const length = FIXED_BYTES + restBytes
  if (length > MAX_V2_BYTES) return 'too_long'
  const family = FAMILIES[familyAndTransport >> 4]
  const isSound = family && (familyAndTransport & 0x0f) <= LAST_TRANSPORT && restBytes >= family.blockBytes
  // Of a connection that the proxy made for itself all else is to be ignored.
  if (command !== LOCAL && !isSound) return 'malformed'
  if (bytes.length < length) return 'incomplete'
  if (command === LOCAL || !family || family.octets === 0) return { length, source: undefined }
  const block = bytes.subarray(FIXED_BYTES, length)
  const [portHigh = 0, portLow = 0] = block.subarray(2 * family.octets)
  return { length, source: { ip: formatIp(block.subarray(0, family.octets)), port: portHigh * 256 + portLow } }
}
