import { createSocket, type Socket } from 'node:dgram'
import { type Endpoint, normaliseIp } from '@tryst/protocol'
import { localAddressFor } from './local-address.ts'
import type { PunchSocket, PunchSocketOptions } from './punch-socket.ts'

/** Datagrams that wait for somebody to take them: the other peer may be faster than the server that tells us of it. */
const MAX_WAITING = 32

type Handler = (datagram: Uint8Array, from: Endpoint) => void

/** @throws Node's error when the address cannot be bound */
export async function openPunchSocket({ family, localAddress }: PunchSocketOptions): Promise<PunchSocket> {
  const socket = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    ipv6Only: family === 6,
    // Only addresses are sent to; the default takes a turn of the event loop even for those.
    lookup: (host, _options, done) => done(null, host, family),
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.bind({ port: 0, address: localAddressFor(family, localAddress) }, () => {
      socket.off('error', reject)
      resolve()
    })
  }).catch((error: unknown) => {
    socket.close()
    throw error
  })
  return new NodePunchSocket(socket)
}

class NodePunchSocket implements PunchSocket {
  readonly local: Endpoint
  readonly #waiting: [Uint8Array, Endpoint][] = []
  #handler: Handler | undefined
  #closed: Promise<void> | undefined

  constructor(private readonly socket: Socket) {
    const { address, port } = socket.address()
    this.local = { ip: normaliseIp(address), port }
    // Errors are of single datagrams, which are as good as lost.
    socket.on('error', () => undefined)
    socket.on('message', (datagram, { address, port }) => this.#take(datagram, { ip: normaliseIp(address), port }))
  }

  send(datagram: Uint8Array, { ip, port }: Endpoint): void {
    if (!this.#closed) this.socket.send(datagram, port, ip, () => undefined)
  }

  receive(handler: Handler | undefined): void {
    this.#handler = handler
    while (this.#handler) {
      const [next] = this.#waiting.splice(0, 1)
      if (!next) return
      this.#handler(...next)
    }
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#handler = undefined
      this.socket.close(resolve)
    })
    return this.#closed
  }

  #take(datagram: Uint8Array, from: Endpoint): void {
    if (this.#handler) return this.#handler(datagram, from)
    this.#waiting.push([datagram, from])
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift()
  }
}
