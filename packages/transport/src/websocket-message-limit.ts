/** Opcodes from here on are control frames, which are short and lie between the frames of a message. */
const FIRST_CONTROL_OPCODE = 8

/** A header of a client's frame: two bytes, up to eight for the length, four for the mask. */
const LONGEST_HEADER_BYTES = 14

/**
 * Watches the beginning of a WebSocket stream for a first message that is too long, by the headers of its frames: before
 * anything is kept of it. Later messages have a limit of their own.
 */
export class FirstMessageLimit {
  readonly #maxBytes: number
  readonly #header = new Uint8Array(LONGEST_HEADER_BYTES)
  #headerLength = 0
  #skipBytes = 0
  #messageBytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** @returns 'done' once the header that ends the first message has been seen: the rest need not be watched */
  push(chunk: Uint8Array): 'more' | 'done' | 'too_long' {
    let at = 0
    while (at < chunk.length) {
      if (this.#skipBytes > 0) {
        const skipped = Math.min(this.#skipBytes, chunk.length - at)
        this.#skipBytes -= skipped
        at += skipped
        continue
      }
      this.#header[this.#headerLength++] = chunk[at++] as number
      if (this.#headerLength < this.#wantedHeaderLength()) continue
      this.#headerLength = 0
      const verdict = this.#frame()
      if (verdict !== 'more') return verdict
    }
    return 'more'
  }

  #wantedHeaderLength(): number {
    if (this.#headerLength < 2) return 2
    const second = this.#header[1] as number
    const short = second & 0x7f
    const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0
    return 2 + lengthBytes + (second & 0x80 ? 4 : 0)
  }

  #frame(): 'more' | 'done' | 'too_long' {
    const view = new DataView(this.#header.buffer)
    const short = view.getUint8(1) & 0x7f
    const length = short === 127 ? Number(view.getBigUint64(2)) : short === 126 ? view.getUint16(2) : short
    this.#skipBytes = length
    const isControl = (view.getUint8(0) & 0x0f) >= FIRST_CONTROL_OPCODE
    if (isControl) return 'more'
    this.#messageBytes += length
    if (this.#messageBytes > this.#maxBytes) return 'too_long'
    const isLast = (view.getUint8(0) & 0x80) !== 0
    return isLast ? 'done' : 'more'
  }
}
