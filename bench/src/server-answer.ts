/**
 * Reads as much of an answer as is needed to judge it. The full decoder of the protocol package costs a generator more
 * than the server's own work on a message.
 */

/** Envelope members that a generator meets, by field number (docs/protocol.md, messages). */
export const PUNCH_HOLE = 9
export const PUNCH_HOLE_RESPONSE = 11
export const RELAY_RESPONSE = 19
export const KEY_EXCHANGE = 25

/** Where a length-delimited field's content lies. */
export interface FieldRange {
  readonly number: number
  readonly start: number
  readonly end: number
}

/** Calls `onField` for each length-delimited field, in order; other fields are stepped over. False when malformed. */
export function scanFields(
  bytes: Uint8Array,
  start: number,
  end: number,
  onField: (number: number, start: number, end: number) => void,
): boolean {
  let at = start
  const varint = () => {
    let value = 0
    for (let factor = 1; at < end; factor *= 128) {
      const byte = bytes[at++] as number
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
    return Number.NaN
  }
  while (at < end) {
    const tag = varint()
    const value = varint()
    if (Number.isNaN(value)) return false
    if (tag % 8 === 0) continue
    if (tag % 8 !== 2 || at + value > end) return false
    onField(Math.floor(tag / 8), at, at + value)
    at += value
  }
  return true
}

/** The first field of that number; undefined when there is none. */
export function findField(bytes: Uint8Array, wanted: number, start = 0, end = bytes.length): Uint8Array | undefined {
  let found: Uint8Array | undefined
  scanFields(bytes, start, end, (number, from, to) => {
    if (number === wanted) found ??= bytes.subarray(from, to)
  })
  return found
}

/** The registration answers, told apart by their few bytes. */
export type RegistrationAnswer = 'known' | 'key-wanted' | 'accepted' | 'refused' | 'other'

export function readRegistrationAnswer(datagram: Uint8Array): RegistrationAnswer {
  if (datagram[0] === 0x3a) return datagram.length === 2 ? 'known' : 'key-wanted'
  if (datagram[0] === 0x82 && datagram[1] === 0x01) return datagram.length === 3 ? 'accepted' : 'refused'
  return 'other'
}

/** Calls `onPayload` for each whole frame of the chunk; false when the last one is cut. */
export function scanFrames(chunk: Uint8Array, onPayload: (payload: Uint8Array) => void): boolean {
  let at = 0
  while (at < chunk.length) {
    const headerLength = ((chunk[at] as number) & 3) + 1
    let value = 0
    for (let i = headerLength - 1; i >= 0; i--) value = value * 256 + (chunk[at + i] ?? 0)
    const start = at + headerLength
    const end = start + Math.floor(value / 4)
    if (end > chunk.length) return false
    onPayload(chunk.subarray(start, end))
    at = end
  }
  return true
}
