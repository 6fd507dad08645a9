/** What a segment is for. Each also says how much its sender can take, and up to where it has everything. */
export const COMMANDS = { push: 81, ack: 82, askWindow: 83, tellWindow: 84 } as const

/** One segment of KCP; numbers are of 32 bits, and begin anew behind the last one. */
export interface Segment {
  readonly conversation: number
  readonly command: number
  /** How many segments the sender of this one can take. */
  readonly window: number
  /** The clock of whoever sent the bytes; an acknowledgement brings it back. */
  readonly timestamp: number
  readonly number: number
  /** All before this one have arrived. */
  readonly unacknowledged: number
  readonly bytes: Uint8Array
}

export const SEGMENT_HEADER_BYTES = 24

/** Writes a segment at `at`; the caller has made room for its header and bytes. Returns where it ends. */
export function writeSegment(target: Uint8Array, at: number, segment: Segment): number {
  const view = new DataView(target.buffer, target.byteOffset + at, SEGMENT_HEADER_BYTES)
  view.setUint32(0, segment.conversation, true)
  view.setUint8(4, segment.command)
  // Byte 5 counts the fragments of a message, of which a stream has none.
  view.setUint8(5, 0)
  view.setUint16(6, segment.window, true)
  view.setUint32(8, segment.timestamp, true)
  view.setUint32(12, segment.number, true)
  view.setUint32(16, segment.unacknowledged, true)
  view.setUint32(20, segment.bytes.length, true)
  target.set(segment.bytes, at + SEGMENT_HEADER_BYTES)
  return at + SEGMENT_HEADER_BYTES + segment.bytes.length
}

/** The segments of a datagram, up to the first that makes no sense. Their bytes are those of the datagram. */
export function* readSegments(datagram: Uint8Array): Generator<Segment, void> {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength)
  for (let at = 0; at + SEGMENT_HEADER_BYTES <= datagram.length; ) {
    const end = at + SEGMENT_HEADER_BYTES + view.getUint32(at + 20, true)
    if (end > datagram.length) return
    yield {
      conversation: view.getUint32(at, true),
      command: view.getUint8(at + 4),
      window: view.getUint16(at + 6, true),
      timestamp: view.getUint32(at + 8, true),
      number: view.getUint32(at + 12, true),
      unacknowledged: view.getUint32(at + 16, true),
      bytes: datagram.subarray(at + SEGMENT_HEADER_BYTES, end),
    }
    at = end
  }
}

/** How far `a` is ahead of `b` where numbers begin anew behind the last one; negative: behind. */
export const distance = (a: number, b: number): number => (a - b) | 0
