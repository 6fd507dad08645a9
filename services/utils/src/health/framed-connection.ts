import { connect, type Socket } from 'node:net'
import { encodeFrame, FrameDecoder } from '@tryst/protocol'

/** No answer to a check is longer. */
const MAX_ANSWER_BYTES = 65_536

/** A connection that speaks in frames, for a few questions and answers. */
export class FramedConnection {
  readonly #frames: Uint8Array[] = []
  readonly #decoder = new FrameDecoder(MAX_ANSWER_BYTES)
  #wake: (() => void) | undefined
  #end: Error | undefined

  private constructor(
    private readonly socket: Socket,
    name: string,
  ) {
    socket.on('data', (chunk) => {
      this.#decoder.push(chunk, (frame) => {
        this.#frames.push(frame.slice())
        return true
      })
      this.#wake?.()
    })
    const ended = (error?: Error) => {
      this.#end ??= new Error(`${name} closed the connection${error ? ` (${error.message})` : ''}`)
      this.#wake?.()
    }
    socket.on('error', ended)
    socket.on('close', () => ended())
  }

  static open(host: string, port: number, signal: AbortSignal): Promise<FramedConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, noDelay: true, signal })
      const name = `${host}:${port}/tcp`
      socket.once('error', (cause) => reject(new Error(`${name} cannot be reached (${cause.message})`, { cause })))
      socket.once('connect', () => resolve(new FramedConnection(socket, name)))
    })
  }

  get localPort(): number {
    return this.socket.localPort ?? 0
  }

  send(payload: Uint8Array): void {
    this.socket.write(encodeFrame(payload))
  }

  async receive(): Promise<Uint8Array> {
    while (true) {
      const frame = this.#frames.shift()
      if (frame) return frame
      if (this.#end) throw this.#end
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  close(): void {
    this.socket.destroy()
  }
}
