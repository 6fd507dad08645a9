import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { ListenPlace } from './listen-everywhere.ts'
import { UdpBatchSocket } from './udp-batch-socket.ts'

/** Where datagrams leave; fits the port of the core. */
export interface DatagramSender {
  send(payload: Uint8Array, ip: string, port: number): void
}

export interface UdpOptions extends ListenPlace {
  /** Kernel receive buffer in bytes; a few hundred datagrams in flight overflow the usual default. */
  readonly receiveBufferBytes: number
  /**
   * Called for each datagram, which is a Buffer and valid during the call only: the next one may overwrite it. Answers
   * go through `from`, so that they leave from the address that was asked.
   */
  readonly onDatagram: (datagram: Uint8Array, ip: string, port: number, from: DatagramSender) => void
  /** An error of a running socket; receiving goes on. */
  readonly onError: (error: Error) => void
  /** Off: one system call for each datagram even where IPv4 could do with fewer. */
  readonly batches?: 'where-possible' | 'off'
}

/** A socket of one address family. */
export interface FamilySocket extends DatagramSender {
  readonly port: number
  /** May be called twice. */
  close(): Promise<void>
}

/** The UDP port: one socket for each address family. */
export class UdpPort implements DatagramSender {
  private constructor(
    private readonly v4: FamilySocket | undefined,
    private readonly v6: FamilySocket | undefined,
  ) {}

  /** @throws the listen error of Node, when no socket could be opened */
  static async open(options: UdpOptions): Promise<UdpPort> {
    const { bind } = options
    if (bind !== undefined) {
      const socket = await openFamily(bind.includes(':') ? 'udp6' : 'udp4', bind, options)
      return bind.includes(':') ? new UdpPort(undefined, socket) : new UdpPort(socket, undefined)
    }
    const v4 = await unlessMissing(openFamily('udp4', '0.0.0.0', options))
    // The port may have been drawn by the system: both families take the same one.
    const sameAsV4 = v4 ? { ...options, port: v4.port } : options
    try {
      if (!v4) return new UdpPort(undefined, await openFamily('udp6', '::', sameAsV4))
      return new UdpPort(v4, await unlessMissing(openFamily('udp6', '::', sameAsV4)))
    } catch (error) {
      await v4?.close()
      throw error
    }
  }

  /** Whether IPv4 is received and sent in batches here. */
  get isBatched(): boolean {
    return this.v4 instanceof UdpBatchSocket
  }

  get port(): number {
    return (this.v4 ?? this.v6)?.port ?? 0
  }

  send(payload: Uint8Array, ip: string, port: number): void {
    const socket = ip.includes(':') ? this.v6 : this.v4
    socket?.send(payload, ip, port)
  }

  async close(): Promise<void> {
    await Promise.all([this.v4?.close(), this.v6?.close()])
  }
}

const isMissingFamily = (error: unknown) =>
  error instanceof Error && 'code' in error && (error.code === 'EAFNOSUPPORT' || error.code === 'EADDRNOTAVAIL')

/** Undefined where the system has no such address family. */
const unlessMissing = (opening: Promise<FamilySocket>): Promise<FamilySocket | undefined> =>
  opening.catch((error: unknown) => {
    if (isMissingFamily(error)) return undefined
    throw error
  })

async function openFamily(type: 'udp4' | 'udp6', address: string, options: UdpOptions): Promise<FamilySocket> {
  const batched = type === 'udp4' && options.batches !== 'off' ? await UdpBatchSocket.open(address, options) : undefined
  return batched ?? PortableSocket.open(type, address, options)
}

/** One system call for each datagram, on every system. */
class PortableSocket implements FamilySocket {
  #closed = false

  private constructor(
    private readonly socket: Socket,
    readonly port: number,
  ) {}

  static async open(type: 'udp4' | 'udp6', address: string, options: UdpOptions): Promise<PortableSocket> {
    const family = type === 'udp4' ? 4 : 6
    const socket = createSocket({
      type,
      ipv6Only: type === 'udp6',
      reusePort: options.reusePort ?? false,
      // Only address literals are sent to; the default takes a turn of the event loop even for those.
      lookup: (host, _options, done) => done(null, host, family),
    })
    // With a lookup that answers at once the event comes before bind() returns.
    const listening = once(socket, 'listening')
    socket.bind({ port: options.port, address, exclusive: true })
    try {
      await listening
    } catch (error) {
      socket.close()
      throw error
    }
    const opened = new PortableSocket(socket, socket.address().port)
    socket.on('error', options.onError)
    const { onDatagram } = options
    socket.on('message', (datagram: Buffer, { address: ip, port }: RemoteInfo) => {
      // A datagram from port 0 cannot be answered: Node throws when asked to.
      if (port !== 0) onDatagram(datagram, type === 'udp6' ? withoutZone(ip) : ip, port, opened)
    })
    if (options.receiveBufferBytes > 0) socket.setRecvBufferSize(options.receiveBufferBytes)
    return opened
  }

  send(payload: Uint8Array, ip: string, port: number): void {
    // Without a callback, which would take a turn of the event loop each: what can't be sent (no route, a full buffer)
    // is lost as on the way, and clients repeat.
    if (!this.#closed) this.socket.send(payload, port, ip)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await new Promise<void>((resolve) => this.socket.close(resolve))
  }
}

function withoutZone(ip: string): string {
  const zone = ip.indexOf('%')
  return zone < 0 ? ip : ip.slice(0, zone)
}
