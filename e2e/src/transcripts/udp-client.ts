import { createSocket, type Socket } from 'node:dgram'
import { type Client, type Ending, Inbox } from './inbox.ts'

/** A client that sends datagrams from one address to one server. */
export class UdpClient extends Inbox implements Client {
  readonly #socket: Socket
  readonly #received: Uint8Array[] = []
  readonly #from: string
  readonly #server: { ip: string; port: number }

  constructor(from: string, server: { ip: string; port: number }) {
    super()
    this.#from = from
    this.#server = server
    this.#socket = createSocket(from.includes(':') ? 'udp6' : 'udp4')
    this.#socket.on('message', (datagram) => {
      this.#received.push(Uint8Array.from(datagram))
      this.changed()
    })
  }

  get address() {
    return { ip: this.#from, port: this.#socket.address().port }
  }

  open(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#socket.once('error', reject)
    this.#socket.bind({ address: this.#from, port: 0 }, resolve)
    return promise
  }

  send(payload: Uint8Array): void {
    this.#socket.send(payload, this.#server.port, this.#server.ip)
  }

  takeMessage(timeoutMs: number): Promise<Uint8Array | undefined> {
    return this.until(() => this.#received.shift(), timeoutMs)
  }

  pending(): string | undefined {
    const [next] = this.#received
    return next && `a datagram ${Buffer.from(next).toString('hex')}`
  }

  async ended(): Promise<Ending | undefined> {
    throw new Error('a UDP client has no connection that could end')
  }

  close(): void {
    this.#socket.close()
  }
}
