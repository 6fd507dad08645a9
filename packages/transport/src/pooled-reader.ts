import { LARGE_READ_BYTES, MEDIUM_READ_BYTES, returnReadBuffer, takeReadBuffer } from './read-buffers.ts'

/**
 * Takes what a socket reads. False: the bytes stay in use and reading stops until the socket is resumed. True: they are
 * free again.
 */
export type ReadListener = (bytes: Uint8Array) => boolean

/**
 * Quiet sockets all read into this one and what arrives is copied out at once, so that a socket on which nothing
 * happens holds no buffer. Less than this is copied into a slab of Node's; as much means that more is coming.
 */
const SHARED = Buffer.allocUnsafeSlow(4 * 1024)

/** Reads in a row that would have fitted a smaller buffer well, before the socket gets one. */
const POOR_READS = 16

/**
 * The buffer that a socket reads into: none of its own while it is quiet, a large one while it is busy. Large reads
 * are what makes a relay cheap: a read into 256 KiB costs little more than one into 4.
 */
export class PooledReader {
  readonly #listener: ReadListener
  #buffer: Buffer = SHARED
  /** What the kernel reads into now: the buffer, or its beginning where reads were limited when it was given. */
  #view: Buffer = SHARED
  /** What was read last; streams of equal messages find the same piece again. */
  #piece: Buffer = SHARED
  #limitBytes = LARGE_READ_BYTES
  #poorReads = 0
  /** The listener still uses what was read last; `#retired` is where that lies if it is not in `#buffer`. */
  #isLent = false
  #retired: Buffer | undefined

  constructor(listener: ReadListener) {
    this.#listener = listener
  }

  /** Where the next read goes. Asked for before the first read and after each one. */
  next(): Buffer {
    const buffer = this.#buffer
    const length = Math.min(this.#limitBytes, buffer.length)
    if (this.#view.length !== length || this.#view.buffer !== buffer.buffer) {
      this.#view = length === buffer.length ? buffer : buffer.subarray(0, length)
    }
    return this.#view
  }

  /** So many bytes lie at the beginning of what `next` gave. */
  read(length: number): boolean {
    const view = this.#view
    if (this.#buffer === SHARED) {
      const copy = Buffer.allocUnsafe(length)
      view.copy(copy, 0, 0, length)
      const isFree = this.#listener(copy)
      if (length === SHARED.length) this.#changeTo(takeReadBuffer(MEDIUM_READ_BYTES))
      return isFree
    }
    if (this.#piece.length !== length || this.#piece.buffer !== view.buffer) this.#piece = view.subarray(0, length)
    const isFree = this.#listener(this.#piece)
    this.#isLent = !isFree
    this.#adapt(length)
    return isFree
  }

  /** For reads to come: the one that is under way still goes into all of what it was given. */
  limit(bytes: number): void {
    this.#limitBytes = bytes
  }

  /** What was lent is free again. */
  resumed(): void {
    this.#isLent = false
    if (this.#retired) returnReadBuffer(this.#retired)
    this.#retired = undefined
  }

  /** The socket is gone. What is still lent is left to the garbage collector. */
  closed(): void {
    if (!this.#isLent && this.#buffer !== SHARED) returnReadBuffer(this.#buffer)
    this.#retired = undefined
    this.#buffer = SHARED
    this.#view = SHARED
    this.#piece = SHARED
  }

  #adapt(length: number): void {
    const size = this.#buffer.length
    if (length === this.#view.length) {
      this.#poorReads = 0
      if (size === MEDIUM_READ_BYTES && this.#limitBytes > size) this.#changeTo(takeReadBuffer(LARGE_READ_BYTES))
      return
    }
    this.#poorReads = length * 16 <= size ? this.#poorReads + 1 : 0
    if (this.#poorReads < POOR_READS) return
    this.#changeTo(size === LARGE_READ_BYTES ? takeReadBuffer(MEDIUM_READ_BYTES) : SHARED)
  }

  #changeTo(buffer: Buffer): void {
    if (this.#isLent) this.#retired = this.#buffer
    else if (this.#buffer !== SHARED) returnReadBuffer(this.#buffer)
    this.#buffer = buffer
    this.#piece = SHARED
    this.#poorReads = 0
  }
}
