/** What stock clients put around KCP: the conversation, eight bytes that they leave at zero, flags, and one more zero. */
export const PACKET_HEADER_BYTES = 14
const FLAGS_AT = 12

export const FLAGS = { syn: 1, ack: 2, fin: 4, data: 8, reset: 16, ping: 32, pong: 64 } as const

export interface Packet {
  readonly conversation: number
  readonly flags: number
  /** Of the packet; not copied. */
  readonly bytes: Uint8Array
}

/** Undefined: too short, as datagrams are that only open a hole. */
export function readPacket(datagram: Uint8Array): Packet | undefined {
  if (datagram.length < PACKET_HEADER_BYTES) return undefined
  const view = new DataView(datagram.buffer, datagram.byteOffset, PACKET_HEADER_BYTES)
  const bytes = datagram.subarray(PACKET_HEADER_BYTES)
  return { conversation: view.getUint32(0, true), flags: view.getUint8(FLAGS_AT), bytes }
}

export function writePacket({ conversation, flags, bytes }: Packet): Uint8Array {
  const datagram = new Uint8Array(PACKET_HEADER_BYTES + bytes.length)
  const view = new DataView(datagram.buffer)
  view.setUint32(0, conversation, true)
  view.setUint8(FLAGS_AT, flags)
  datagram.set(bytes, PACKET_HEADER_BYTES)
  return datagram
}
