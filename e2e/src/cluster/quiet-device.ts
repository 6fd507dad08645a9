import { createSocket, type Socket } from 'node:dgram'
import { createDeviceIdentity, type DeviceIdentity } from '@tryst/client'
import { decodeRendezvous, encodeRendezvous } from '@tryst/protocol'

const ANSWER_WITHIN_MS = 5_000

/** The server's answer to a registration, and how long it took. */
export interface RegistrationAnswer {
  /** RegisterPkResponse; undefined: none came. */
  readonly result: number | undefined
  readonly tookMs: number
}

/** A device's UDP socket that says nothing unless told to. */
export class QuietDevice {
  #socket: Socket | undefined
  #onResult: ((result: number) => void) | undefined

  private constructor(
    readonly identity: DeviceIdentity,
    private readonly server: { readonly host: string; readonly port: number },
    private readonly ip: string,
  ) {}

  static async open(
    server: { readonly host: string; readonly port?: number | undefined },
    ip: string,
    identity: DeviceIdentity = createDeviceIdentity(),
  ): Promise<QuietDevice> {
    const device = new QuietDevice(identity, { host: server.host, port: server.port ?? 0 }, ip)
    await device.#open()
    return device
  }

  get id(): string {
    return this.identity.id
  }

  /** Registers once, from another port where it was closed before. */
  async register(limitMs = ANSWER_WITHIN_MS): Promise<RegistrationAnswer> {
    const socket = this.#socket ?? (await this.#open())
    const { id, uuid, publicKey } = this.identity
    const beganMs = performance.now()
    const { promise, resolve } = Promise.withResolvers<number | undefined>()
    const timer = setTimeout(() => resolve(undefined), limitMs)
    this.#onResult = resolve
    const { host, port } = this.server
    socket.send(encodeRendezvous({ registerPk: { id, uuid, pk: publicKey } }), port, host)
    const result = await promise
    clearTimeout(timer)
    return { result, tookMs: performance.now() - beganMs }
  }

  /** May be called twice. */
  close(): void {
    this.#onResult = undefined
    this.#socket?.close()
    this.#socket = undefined
  }

  async #open(): Promise<Socket> {
    const socket = createSocket('udp4')
    this.#socket = socket
    socket.on('message', (datagram) => {
      const { registerPkResponse } = decodeRendezvous(datagram)
      if (registerPkResponse) this.#onResult?.(registerPkResponse.result ?? 0)
    })
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind({ address: this.ip, port: 0 }, resolve)
    })
    // A refused datagram comes back as an error; no answer is answer enough.
    socket.on('error', () => undefined)
    return socket
  }
}
