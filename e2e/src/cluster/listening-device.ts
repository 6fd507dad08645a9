import { createSocket, type Socket } from 'node:dgram'
import { createDeviceIdentity, type ServerSettings } from '@tryst/client'
import {
  decodeRendezvous,
  encodeRendezvous,
  type OutgoingRendezvousMessage,
  type RendezvousMessage,
} from '@tryst/protocol'
import { waitUntil } from '../site/wait-until.ts'

/** A device's UDP socket that keeps what it hears and answers when it is told to. */
export class ListeningDevice {
  readonly identity = createDeviceIdentity()
  readonly #messages: RendezvousMessage[] = []

  private constructor(private readonly socket: Socket) {
    socket.on('message', (datagram) => this.#messages.push(decodeRendezvous(datagram)))
    // A refused datagram comes back as an error; no answer is answer enough.
    socket.on('error', () => undefined)
  }

  static async open(ip: string): Promise<ListeningDevice> {
    const socket = createSocket('udp4')
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind({ address: ip, port: 0 }, resolve)
    })
    return new ListeningDevice(socket)
  }

  get id(): string {
    return this.identity.id
  }

  /** How often it has heard this. */
  count(kind: RendezvousMessage['union']): number {
    return this.#messages.filter(({ union }) => union === kind).length
  }

  /** The last of this kind, as soon as there is one. */
  heard<K extends NonNullable<RendezvousMessage['union']>>(kind: K): Promise<Extract<RendezvousMessage, { union: K }>> {
    const isWanted = (message: RendezvousMessage): message is Extract<RendezvousMessage, { union: K }> =>
      message.union === kind
    return waitUntil(`the device hears ${kind}`, () => this.#messages.findLast(isWanted))
  }

  /** The server's verdict. */
  async register(server: ServerSettings): Promise<number> {
    const { id, uuid, publicKey } = this.identity
    const before = this.count('registerPkResponse')
    this.answer(server, { registerPk: { id, uuid, pk: publicKey } })
    await waitUntil('the registration is answered', () => this.count('registerPkResponse') > before)
    return (await this.heard('registerPkResponse')).registerPkResponse.result ?? 0
  }

  answer({ host, port }: ServerSettings, message: OutgoingRendezvousMessage): void {
    this.socket.send(encodeRendezvous(message), port ?? 0, host)
  }

  /** May be called twice. */
  close(): void {
    this.socket.removeAllListeners('message')
    this.socket.close()
  }
}
