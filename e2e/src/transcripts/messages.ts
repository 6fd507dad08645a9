import { createRequire } from 'node:module'
import { dirname, resolve } from 'node:path'
import { formatEndpoint, mangleAddress, parseIp, unmangleAddress } from '@tryst/protocol'
import protobuf from 'protobufjs'
import type { Fields, FieldValue } from './transcript.ts'

const proto = resolve(dirname(createRequire(import.meta.url).resolve('@tryst/protocol')), '../proto/rendezvous.proto')
const root = new protobuf.Root().loadSync(proto, { keepCase: true })
const envelope = root.lookupType('rendezvous.RendezvousMessage')

/** Fields by their names in the protocol definition; undefined when the bytes are no message. */
export function decodeFields(bytes: Uint8Array): Fields | undefined {
  try {
    const reader = protobuf.Reader.create(bytes)
    reader.discardUnknown = false
    const message = envelope.decode(reader)
    const fields = withHex(envelope.toObject(message, { enums: String, longs: String })) as Fields
    const unknown = unknownFields(message)
    return unknown === '' ? fields : { ...fields, 'unknown fields': unknown }
  } catch {
    return undefined
  }
}

/** Unknown fields inside the member of the envelope, and beside it. */
function unknownFields(message: protobuf.Message): string {
  const members = Object.values(message).filter((value) => value instanceof protobuf.Message)
  const bytes = [message, ...members].flatMap((each) => (each as { $unknowns?: Uint8Array[] }).$unknowns ?? [])
  return toHex(Buffer.concat(bytes))
}

function withHex(value: unknown): FieldValue {
  if (value instanceof Uint8Array) return toHex(value)
  if (Array.isArray(value)) return value.map(withHex)
  if (typeof value !== 'object' || value === null) return value as FieldValue
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withHex(member)]))
}

/** A message with one bytes field replaced, and bytes appended inside its envelope. */
export function encodeWith(hex: string, path: string, bytes: Uint8Array, innerSuffix = ''): Uint8Array {
  const message = envelope.decode(Buffer.from(hex, 'hex'))
  const [member, field] = path.split('.') as [string, string]
  const inner = (message as unknown as Record<string, Record<string, unknown>>)[member]
  const type = envelope.fields[member]
  if (!inner || !type) throw new Error(`the message to send has no ${path}`)
  inner[field] = bytes
  const encoded = (type.resolve().resolvedType as protobuf.Type).encode(inner).finish()
  const body = Buffer.concat([encoded, Buffer.from(innerSuffix, 'hex')])
  return protobuf.Writer.create()
    .uint32((type.id << 3) | 2)
    .bytes(body)
    .finish()
}

export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** `203.0.113.7:50000` or `[2001:db8::1]:50000`, as the vectors write it. */
export function parseEndpoint(text: string): { ip: string; port: number } {
  const colon = text.lastIndexOf(':')
  return { ip: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) }
}

export const mangleNow = (ip: string, port: number): Uint8Array =>
  mangleAddress({ ip, port }, (Date.now() * 1000) % 0x100000000)

/** A mangled address encoded anew, as devices do with the one that they put into LocalAddr. */
export function mangleAgain(hex: string): Uint8Array {
  const { ip, port } = unmangleAddress(Buffer.from(hex, 'hex'))
  return mangleNow(ip, port)
}

/** How a mangled address compares to the true one, in words that are equal exactly when the addresses are. */
export function describeAddress(hex: string, expected: { ip: string; port: number }, name: string): string {
  const found = unmangleAddress(Buffer.from(hex, 'hex'))
  const sameIp = parseIp(found.ip)?.join() === parseIp(expected.ip)?.join()
  if (sameIp && found.port === expected.port) return `(address of ${name})`
  return sameIp ? `(IP of ${name}, another port)` : formatEndpoint(found)
}
