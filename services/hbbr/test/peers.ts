import { connect, type Socket } from 'node:net'
import { encodeFrame, encodeRendezvous, FrameDecoder } from '@tryst/protocol'
import { WebSocket } from 'ws'

export type TransportName = 'tcp' | 'websocket'

export const requestRelay = (request: { uuid: string; licenceKey?: string; id?: string }): Uint8Array =>
  encodeRendezvous({ requestRelay: request })

/** Waits for a condition, and says what was missing when it does not come about. */
export async function until(what: string, condition: () => boolean, limitMs = 10_000): Promise<void> {
  const end = performance.now() + limitMs
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what} did not come about within ${limitMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** A client of the relay, seen as messages whatever its transport. */
export interface TestPeer {
  send(payload: Uint8Array): void
  /** Messages that have arrived. */
  readonly messages: Buffer[]
  /** The relay has ended the stream. */
  readonly hasEnded: boolean
  readonly isClosed: boolean
  close(): void
}

export class TcpPeer implements TestPeer {
  readonly messages: Buffer[] = []
  /** Everything that has arrived, as bytes. */
  received = Buffer.alloc(0)
  hasEnded = false
  isClosed = false
  #decoder: FrameDecoder | undefined = new FrameDecoder(64 * 1024 * 1024)

  private constructor(readonly socket: Socket) {
    socket.on('error', () => undefined)
    socket.on('end', () => {
      this.hasEnded = true
    })
    socket.on('close', () => {
      this.isClosed = true
    })
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk])
      this.#decode(chunk)
    })
  }

  static async open(port: number, host = '127.0.0.1'): Promise<TcpPeer> {
    const socket = connect({ port, host, noDelay: true, allowHalfOpen: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.once('connect', resolve)
    })
    return new TcpPeer(socket)
  }

  send(payload: Uint8Array): void {
    this.socket.write(encodeFrame(payload))
  }

  sendBytes(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  close(): void {
    this.socket.destroy()
  }

  #decode(chunk: Buffer): void {
    try {
      this.#decoder?.push(chunk, (payload) => {
        this.messages.push(Buffer.from(payload))
        return true
      })
    } catch {
      // Raw bytes: only `received` counts.
      this.#decoder = undefined
    }
  }
}

export class WebSocketPeer implements TestPeer {
  readonly messages: Buffer[] = []
  readonly pongs: Buffer[] = []
  hasEnded = false
  isClosed = false
  /** Code of the close message, if there was one. */
  closeCode: number | undefined

  private constructor(
    readonly webSocket: WebSocket,
    readonly socket: Socket,
  ) {
    webSocket.on('message', (data: Buffer) => this.messages.push(data))
    webSocket.on('pong', (data) => this.pongs.push(data))
    webSocket.on('error', () => undefined)
    webSocket.on('close', (code) => {
      this.isClosed = true
      this.closeCode = code
    })
    socket.on('end', () => {
      this.hasEnded = true
    })
  }

  static open(port: number, options: { path?: string; headers?: Record<string, string> } = {}): Promise<WebSocketPeer> {
    const url = `ws://127.0.0.1:${port}${options.path ?? '/'}`
    const webSocket = new WebSocket(url, { headers: options.headers ?? {}, perMessageDeflate: false })
    return new Promise((resolve, reject) => {
      let socket: Socket | undefined
      webSocket.once('error', reject)
      webSocket.once('upgrade', (response) => {
        socket = response.socket
      })
      webSocket.once('open', () => {
        webSocket.off('error', reject)
        if (socket) resolve(new WebSocketPeer(webSocket, socket))
      })
    })
  }

  send(payload: Uint8Array): void {
    this.webSocket.send(payload)
  }

  /** Cuts the TCP connection without a close message. */
  close(): void {
    this.webSocket.terminate()
  }
}

export const openPeer = (
  transport: TransportName,
  ports: { readonly tcp: number; readonly webSocket: number },
): Promise<TestPeer> => (transport === 'tcp' ? TcpPeer.open(ports.tcp) : WebSocketPeer.open(ports.webSocket))
