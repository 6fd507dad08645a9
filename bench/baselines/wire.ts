/** As much of the wire format as the bare broker needs (docs/protocol.md), by hand. */

/** Length-delimited fields by number; everything else is stepped over. */
export function fieldsOf(bytes: Buffer): Record<number, Buffer | undefined> {
  const fields: Record<number, Buffer | undefined> = {}
  let at = 0
  const varint = () => {
    let byte = bytes[at++] ?? 0
    let value = byte & 0x7f
    for (let shift = 7; byte > 0x7f && shift < 28; shift += 7) {
      byte = bytes[at++] ?? 0
      value |= (byte & 0x7f) << shift
    }
    return value
  }
  while (at < bytes.length) {
    const tag = varint()
    const value = varint()
    if ((tag & 7) !== 2) continue
    fields[tag >>> 3] = bytes.subarray(at, at + value)
    at += value
  }
  return fields
}

/** A length-delimited field; number and length fit two bytes each. */
export function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(content.length), content])
}

/** A payload with its header in front; up to 16383 bytes. */
export function frame(payload: Buffer): Buffer {
  const { length } = payload
  const header = length < 64 ? Buffer.of(length << 2) : Buffer.of(((length << 2) | 1) & 255, length >>> 6)
  return Buffer.concat([header, payload])
}

/** An IPv4 address in its mangled form, with a time of 0. */
export function mangled(ip: string, port: number): Buffer {
  const bytes = Buffer.alloc(11)
  bytes.writeUInt16LE(port)
  bytes.writeUIntLE(Buffer.from(ip.split('.').map(Number)).readUInt32LE() * 2, 6, 5)
  return bytes
}

const varint = (value: number) => (value < 128 ? Buffer.of(value) : Buffer.of((value & 127) | 128, value >>> 7))
