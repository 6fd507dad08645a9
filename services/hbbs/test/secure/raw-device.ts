import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import {
  decodeRendezvous,
  encodeRendezvous,
  type OutgoingRendezvousMessage,
  type RendezvousMessage,
} from '@tryst/protocol'
import { RawClient } from './raw-client.ts'

/** Another address than that of the controllers, with which it would share a network. */
const DEVICE_IP = '127.0.0.2'

/** A device that is registered over UDP and answers as stock devices do: on a connection that it never reads. */
export class RawDevice {
  readonly pushes: { readonly message: RendezvousMessage; readonly atMs: number }[] = []
  readonly #socket: Socket = createSocket('udp4')
  #wake: () => void = () => undefined

  private constructor(
    readonly id: string,
    private readonly port: number,
  ) {}

  static async register(id: string, port: number): Promise<RawDevice> {
    const device = new RawDevice(id, port)
    device.#socket.on('message', (datagram) => {
      device.pushes.push({ message: decodeRendezvous(datagram), atMs: performance.now() })
      device.#wake()
    })
    device.#socket.bind(0, DEVICE_IP)
    await once(device.#socket, 'listening')
    device.#send({ registerPk: { id, uuid: Buffer.from(`uuid of ${id}`), pk: new Uint8Array(32).fill(7) } })
    await device.next('registerPkResponse')
    return device
  }

  /** The next message of this kind; others before it are dropped. */
  async next<K extends keyof RendezvousMessage>(kind: K): Promise<NonNullable<RendezvousMessage[K]>> {
    for (;;) {
      const push = this.pushes.shift()?.message[kind]
      if (push) return push
      if (this.pushes.length > 0) continue
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no ${kind} came to the device ${this.id}`)), 10_000)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** Sends one message on a connection of its own, closes it and does not read. @param afterMs how long it waits first */
  async answer(message: OutgoingRendezvousMessage, afterMs = 0): Promise<void> {
    const connection = await RawClient.connect(this.port, { reads: false, localAddress: DEVICE_IP })
    if (afterMs > 0) await new Promise((resolve) => setTimeout(resolve, afterMs))
    connection.send(message)
    // What has come and was not read makes the end a reset.
    connection.socket.end(() => connection.close())
  }

  heartbeat(): void {
    this.#send({ registerPeer: { id: this.id, serial: 3 } })
  }

  close(): void {
    this.#socket.close()
  }

  #send(message: OutgoingRendezvousMessage): void {
    this.#socket.send(encodeRendezvous(message), this.port, '127.0.0.1')
  }
}
