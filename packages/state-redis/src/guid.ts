import { randomFillSync } from 'node:crypto'

/** A random UUID (version 4), the primary key of the row that an export writes. */
export function newGuid(): Uint8Array {
  const guid = randomFillSync(new Uint8Array(16))
  guid[6] = ((guid[6] ?? 0) & 0x0f) | 0x40
  guid[8] = ((guid[8] ?? 0) & 0x3f) | 0x80
  return guid
}
