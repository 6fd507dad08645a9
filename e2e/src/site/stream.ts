import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { waitUntil } from './wait-until.ts'

const STALLED_FOR_MS = 500

/** A TCP connection that is read only when asked to, for tests of slow readers. */
export class Stream {
  private constructor(readonly socket: Socket) {}

  static async open(host: string, port: number): Promise<Stream> {
    const socket = connect({ host, port, allowHalfOpen: true })
    socket.pause()
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    return new Stream(socket)
  }

  /** Writes chunk after chunk until nothing has left for a while. Gives the number of bytes that have left. */
  async writeUntilStalled(chunk: Uint8Array): Promise<number> {
    const { socket } = this
    let isStalled = false
    const keepWriting = () => {
      while (!isStalled && socket.write(chunk));
    }
    socket.on('drain', keepWriting)
    keepWriting()
    let [left, sinceMs] = [-1, performance.now()]
    await waitUntil('the sender is held back', () => {
      const now = socket.bytesWritten - socket.writableLength
      if (now !== left) [left, sinceMs] = [now, performance.now()]
      return performance.now() - sinceMs > STALLED_FOR_MS
    })
    isStalled = true
    socket.off('drain', keepWriting)
    return left
  }

  /** Reads to the end of the stream: how much, and its SHA-256. */
  async readToEnd(): Promise<{ bytes: number; sha256: string }> {
    const hash = createHash('sha256')
    let bytes = 0
    this.socket.on('data', (chunk) => {
      hash.update(chunk)
      bytes += chunk.length
    })
    this.socket.resume()
    await once(this.socket, 'end')
    return { bytes, sha256: hash.digest('hex') }
  }

  close(): void {
    this.socket.destroy()
  }
}
