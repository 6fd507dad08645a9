import { ProtocolError } from './errors.ts'

/** Largest payload that a frame header can announce, in bytes (docs/protocol.md, framing). */
export const MAX_FRAME_PAYLOAD_BYTES = 0x3fffffff

/**
 * Header of a TCP frame: 1 to 4 bytes, little-endian. The two low bits hold the header length minus one, the others
 * the payload length. Writers use the shortest form.
 */
export function frameHeader(payloadLength: number): Uint8Array {
  const header = new Uint8Array(frameHeaderLength(payloadLength))
  writeFrameHeader(header, payloadLength)
  return header
}

/** A payload with its header in front, in one buffer. */
export function encodeFrame(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(frameHeaderLength(payload.length) + payload.length)
  writeFrame(frame, payload)
  return frame
}

/**
 * The same at the beginning of a buffer that has room for it: 4 bytes more than the payload are always enough.
 *
 * @returns length of the frame
 */
export function writeFrame(buffer: Uint8Array, payload: Uint8Array): number {
  const headerLength = frameHeaderLength(payload.length)
  writeFrameHeader(buffer, payload.length)
  buffer.set(payload, headerLength)
  return headerLength + payload.length
}

function frameHeaderLength(payloadLength: number): number {
  if (payloadLength <= 0x3f) return 1
  if (payloadLength <= 0x3fff) return 2
  if (payloadLength <= 0x3fffff) return 3
  if (payloadLength <= MAX_FRAME_PAYLOAD_BYTES) return 4
  throw new ProtocolError(`a frame holds at most ${MAX_FRAME_PAYLOAD_BYTES} bytes, not ${payloadLength}`)
}

function writeFrameHeader(frame: Uint8Array, payloadLength: number): void {
  const headerLength = frameHeaderLength(payloadLength)
  const value = payloadLength * 4 + headerLength - 1
  for (let i = 0; i < headerLength; i++) frame[i] = value >>> (8 * i)
}

const NOTHING = new Uint8Array(0)

/** Length of a header, told by its first byte. */
const headerLengthOf = (first: number) => (first & 3) + 1

/** Header starting at `at`; the caller made sure that `headerLength` bytes are there. */
function payloadLengthAt(bytes: Uint8Array, at: number, headerLength: number): number {
  let value = 0
  for (let i = headerLength - 1; i >= 0; i--) value = value * 256 + (bytes[at + i] as number)
  return Math.floor(value / 4)
}

/**
 * Cuts a byte stream into frames. Payloads that lie within one chunk are views of it; only a payload that spans chunks
 * is copied, into a buffer that grows with what has arrived and never with what was announced.
 */
export class FrameDecoder {
  /** Bytes of an unfinished header or payload. */
  #partial: Uint8Array = NOTHING
  #partialLength = 0
  /** Payload length of the frame being read; -1 while its header is incomplete. */
  #expected = -1

  /** @param maxPayloadBytes a longer payload is refused when its header has arrived, before anything is allocated */
  constructor(private maxPayloadBytes: number) {}

  /** A connection that has proved itself may send larger frames. */
  setMaxPayloadBytes(bytes: number): void {
    this.maxPayloadBytes = bytes
  }

  /** True between two frames: nothing of the next one has arrived. */
  get isIdle(): boolean {
    return this.#expected === -1 && this.#partialLength === 0
  }

  /**
   * Takes a chunk and hands each finished payload to `onPayload`, in order. When that returns false, decoding stops and
   * the rest of the chunk, without a header interpreted in it, is returned: the bytes behind the frame.
   *
   * @throws ProtocolError for a payload above the limit
   */
  push(chunk: Uint8Array, onPayload: (payload: Uint8Array) => boolean | undefined): Uint8Array | undefined {
    let at = 0
    for (;;) {
      if (this.#expected === -1) {
        const missing = this.#missingHeaderBytes(chunk, at)
        if (missing < 0) return undefined
        at = missing
      }
      const expected = this.#expected
      let payload: Uint8Array
      if (this.#partialLength === 0) {
        if (chunk.length - at < expected) {
          if (at < chunk.length) this.#keep(chunk.subarray(at), expected)
          return undefined
        }
        payload = chunk.subarray(at, at + expected)
        at += expected
      } else {
        const wanted = expected - this.#partialLength
        if (chunk.length - at < wanted) {
          this.#keep(chunk.subarray(at), expected)
          return undefined
        }
        this.#keep(chunk.subarray(at, at + wanted), expected)
        at += wanted
        payload = this.#partial.subarray(0, expected)
        this.#partial = NOTHING
        this.#partialLength = 0
      }
      this.#expected = -1
      if (onPayload(payload) === false) return chunk.subarray(at)
    }
  }

  /** Reads a header at `at`, part of which may have come with earlier chunks. Returns where the payload begins, or -1. */
  #missingHeaderBytes(chunk: Uint8Array, at: number): number {
    if (this.#partialLength === 0) {
      if (at >= chunk.length) return -1
      const length = headerLengthOf(chunk[at] as number)
      if (at + length <= chunk.length) {
        this.#announce(payloadLengthAt(chunk, at, length))
        return at + length
      }
      this.#keep(chunk.subarray(at), 4)
      return -1
    }
    const length = headerLengthOf(this.#partial[0] as number)
    const wanted = length - this.#partialLength
    const part = chunk.subarray(at, at + wanted)
    this.#keep(part, 4)
    if (part.length < wanted) return -1
    this.#partialLength = 0
    this.#announce(payloadLengthAt(this.#partial, 0, length))
    return at + wanted
  }

  #announce(payloadLength: number): void {
    if (payloadLength > this.maxPayloadBytes) {
      throw new ProtocolError(`a frame of ${payloadLength} bytes, at most ${this.maxPayloadBytes} are taken here`)
    }
    this.#expected = payloadLength
  }

  #keep(bytes: Uint8Array, atMost: number): void {
    const length = this.#partialLength + bytes.length
    if (length > this.#partial.length) {
      const larger = new Uint8Array(Math.min(atMost, Math.max(length, this.#partial.length * 2)))
      larger.set(this.#partial.subarray(0, this.#partialLength))
      this.#partial = larger
    }
    this.#partial.set(bytes, this.#partialLength)
    this.#partialLength = length
  }
}
