import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { encodeFrame, encodeRendezvous, FrameDecoder } from '@tryst/protocol'
import { SITE_HOST } from '../site/site.ts'

export type EndTransport = 'tcp' | 'websocket'

const LONGEST_MESSAGE_BYTES = 1 << 24

/** One end of a relayed session without anything above the relay: messages out, messages in, each way with its hash. */
export abstract class RelayEnd {
  readonly #received = createHash('sha256')
  receivedBytes = 0
  isClosed = false

  /** @param port of the relay for TCP */
  static async open(transport: EndTransport, port: number): Promise<RelayEnd> {
    if (transport === 'tcp') {
      const socket = connect({ port, host: SITE_HOST, noDelay: true, allowHalfOpen: true })
      await once(socket, 'connect')
      return new TcpEnd(socket)
    }
    const webSocket = new WebSocket(`ws://${SITE_HOST}:${port + 2}/`)
    webSocket.binaryType = 'arraybuffer'
    await new Promise((resolve, reject) => {
      webSocket.addEventListener('open', resolve, { once: true })
      webSocket.addEventListener('error', () => reject(new Error('no WebSocket')), { once: true })
    })
    return new WebSocketEnd(webSocket)
  }

  /** Asks for the session, with messages right behind that where it does not wait for its partner. */
  ask(uuid: string, licenceKey: string, behind: readonly Uint8Array[] = []): void {
    this.send([encodeRendezvous({ requestRelay: { uuid, licenceKey } }), ...behind])
  }

  /** All in one write, where the transport has such a thing. */
  abstract send(messages: readonly Uint8Array[]): void
  abstract close(): void

  /** Of all that has arrived. */
  hash(): string {
    return this.#received.copy().digest('hex')
  }

  protected arrived(message: Uint8Array): void {
    this.receivedBytes += message.length
    this.#received.update(message)
  }
}

class TcpEnd extends RelayEnd {
  constructor(private readonly socket: Socket) {
    super()
    const frames = new FrameDecoder(LONGEST_MESSAGE_BYTES)
    socket.on('data', (bytes) => {
      frames.push(bytes, (message) => {
        this.arrived(message)
        return true
      })
    })
    socket.on('error', () => {})
    socket.on('end', () => {
      this.isClosed = true
    })
    socket.on('close', () => {
      this.isClosed = true
    })
  }

  send(messages: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(messages.map((message) => encodeFrame(message))))
  }

  close(): void {
    this.socket.destroy()
  }
}

class WebSocketEnd extends RelayEnd {
  constructor(private readonly webSocket: WebSocket) {
    super()
    webSocket.addEventListener('message', ({ data }) => this.arrived(new Uint8Array(data as ArrayBuffer)))
    webSocket.addEventListener('close', () => {
      this.isClosed = true
    })
  }

  send(messages: readonly Uint8Array[]): void {
    for (const message of messages) this.webSocket.send(new Uint8Array(message))
  }

  close(): void {
    this.webSocket.close()
  }
}

/** Messages of many sizes with so many bytes together. */
export function randomMessages(bytes: number): Uint8Array[] {
  const messages: Uint8Array[] = []
  for (let at = 0, size = 1; at < bytes; at += size, size = (size * 7) % 60_000) {
    messages.push(new Uint8Array(randomBytes(Math.min(size, bytes - at))))
  }
  return messages
}

export const hashOf = (messages: readonly Uint8Array[]): string => {
  const hash = createHash('sha256')
  for (const message of messages) hash.update(message)
  return hash.digest('hex')
}
