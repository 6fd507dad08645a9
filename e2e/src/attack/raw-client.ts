import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import {
  decodeRendezvous,
  encodeFrame,
  encodeRendezvous,
  FrameDecoder,
  type OutgoingRendezvousMessage,
  type RendezvousMessage,
} from '@tryst/protocol'
import { WebSocket } from 'ws'
import { waitUntil } from '../site/wait-until.ts'

export const CARRIERS = ['tcp', 'websocket', 'udp'] as const
export type Carrier = (typeof CARRIERS)[number]

/** Where a server is spoken to over each transport. */
export interface Doors {
  readonly main: number
  readonly webSocket: number
}

const HOST = '127.0.0.1'
const MAX_MESSAGE_BYTES = 65_536

/** A client that says what a test wants, and keeps all that it is told. */
export class RawClient {
  readonly received: RendezvousMessage[] = []
  isEnded = false

  private constructor(
    private readonly write: (message: Uint8Array) => void,
    readonly close: () => void,
  ) {}

  /** @param localAddress of loopback, so that clients are told apart */
  static async open(carrier: Carrier, { main, webSocket }: Doors, localAddress: string): Promise<RawClient> {
    switch (carrier) {
      case 'tcp':
        return RawClient.overTcp(main, localAddress)
      case 'udp': {
        const socket = createSocket('udp4')
        await new Promise<void>((resolve) => socket.bind(0, localAddress, resolve))
        const client = new RawClient(
          (message) => socket.send(message, main, HOST),
          () => socket.close(),
        )
        socket.on('message', (datagram) => client.received.push(decodeRendezvous(datagram)))
        return client
      }
      default: {
        const socket = new WebSocket(`ws://${HOST}:${webSocket}/`, { localAddress })
        await once(socket, 'open')
        const client = new RawClient(
          (message) => socket.send(message),
          () => socket.terminate(),
        )
        socket.on('message', (data) => client.#note(data as Buffer))
        socket.on('close', () => {
          client.isEnded = true
        })
        socket.on('error', () => {})
        return client
      }
    }
  }

  static async overTcp(port: number, localAddress: string): Promise<RawClient> {
    const socket = connect({ port, host: HOST, localAddress })
    await once(socket, 'connect')
    const client = new RawClient(
      (message) => socket.write(encodeFrame(message)),
      () => socket.destroy(),
    )
    const decoder = new FrameDecoder(MAX_MESSAGE_BYTES)
    socket.on('data', (chunk) => {
      decoder.push(chunk, (payload) => {
        client.#note(payload)
        return undefined
      })
    })
    socket.on('close', () => {
      client.isEnded = true
    })
    socket.on('error', () => {})
    return client
  }

  send(message: OutgoingRendezvousMessage): void {
    this.write(encodeRendezvous(message))
  }

  /** The first message that it has been told of this kind. */
  async next<Kind extends RendezvousMessage['union']>(
    kind: Kind,
  ): Promise<Extract<RendezvousMessage, { union: Kind }>> {
    const find = () => this.received.find(({ union }) => union === kind)
    await waitUntil(`the client is told ${kind}`, () => find() !== undefined)
    return find() as Extract<RendezvousMessage, { union: Kind }>
  }

  async ended(withinMs?: number): Promise<void> {
    await waitUntil('the server closes the connection', () => this.isEnded, withinMs)
  }

  #note(payload: Uint8Array): void {
    // The offer of encryption, and heartbeats, are for everybody.
    const message = payload.length > 0 ? decodeRendezvous(payload) : undefined
    if (message && message.union !== 'keyExchange') this.received.push(message)
  }
}
