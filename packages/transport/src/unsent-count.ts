import type { Writable } from 'node:stream'

/** What a frame that waits for its receiver costs besides its bytes. Many small ones would be taken for few bytes. */
export const WAITING_FRAME_BYTES = 512

/** What a socket holds for a client that does not read. */
export class UnsentCount {
  /** Since the client had read everything last. */
  #frames = 0

  constructor(private readonly socket: Writable) {}

  get bytes(): number {
    const { writableLength } = this.socket
    if (writableLength === 0) this.#frames = 0
    return writableLength + this.#frames * WAITING_FRAME_BYTES
  }

  /** To be called after each frame. */
  wrote(): void {
    if (this.socket.writableLength === 0) this.#frames = 0
    else this.#frames++
  }
}
