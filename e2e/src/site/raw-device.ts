import { createDeviceIdentity, type DeviceIdentity } from '@tryst/client'
import {
  decodeRendezvous,
  encodeRendezvous,
  type OutgoingRendezvousMessage,
  type RendezvousMessage,
} from '@tryst/protocol'
import { UdpClient } from '../transcripts/udp-client.ts'
import type { Site } from './site.ts'

const ANSWER_WITHIN_MS = 5_000

/** A device's UDP socket, message by message: nothing is sent or answered unasked. */
export class RawDevice {
  readonly identity: DeviceIdentity
  readonly #udp: UdpClient
  #isClosed = false

  private constructor(identity: DeviceIdentity, udp: UdpClient) {
    this.identity = identity
    this.#udp = udp
  }

  static async open(site: Site, { ip = '127.0.0.1', identity = createDeviceIdentity() } = {}): Promise<RawDevice> {
    const udp = new UdpClient(ip, { ip: site.server.host, port: site.ports.main })
    await udp.open()
    return site.guest(new RawDevice(identity, udp))
  }

  /** One that the server has accepted. */
  static async online(site: Site, options?: { ip?: string; identity?: DeviceIdentity }): Promise<RawDevice> {
    const device = await RawDevice.open(site, options)
    const result = await device.register()
    if (result !== 0) throw new Error(`device ${device.id} was not registered: RegisterPkResponse ${result}`)
    return device
  }

  get id(): string {
    return this.identity.id
  }

  send(message: OutgoingRendezvousMessage): void {
    this.sendBytes(encodeRendezvous(message))
  }

  sendBytes(datagram: Uint8Array): void {
    this.#udp.send(datagram)
  }

  sendRegisterPk({ id, uuid, publicKey }: Pick<DeviceIdentity, 'id' | 'uuid' | 'publicKey'> = this.identity): void {
    this.send({ registerPk: { id, uuid, pk: publicKey } })
  }

  /** The result of a registration. */
  async register(identity?: Pick<DeviceIdentity, 'id' | 'uuid' | 'publicKey'>): Promise<number> {
    this.sendRegisterPk(identity)
    const { registerPkResponse, union } = await this.next()
    if (!registerPkResponse) throw new Error(`RegisterPkResponse was expected, not ${union}`)
    return registerPkResponse.result ?? 0
  }

  /** Whether the server wants the key. */
  async heartbeat(serial = 3): Promise<boolean> {
    this.send({ registerPeer: { id: this.id, serial } })
    const { registerPeerResponse, union } = await this.next()
    if (!registerPeerResponse) throw new Error(`RegisterPeerResponse was expected, not ${union}`)
    return registerPeerResponse.requestPk ?? false
  }

  /** The next message of the server. @throws Error when none comes */
  async next(): Promise<RendezvousMessage> {
    const datagram = await this.#udp.takeMessage(ANSWER_WITHIN_MS)
    if (!datagram) throw new Error(`device ${this.id}: nothing came from the ID server`)
    return decodeRendezvous(datagram)
  }

  /** May be called twice. */
  close(): void {
    if (!this.#isClosed) this.#udp.close()
    this.#isClosed = true
  }
}
