import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { heartbeat } from './device-messages.ts'
import type { Target } from './job.ts'

/** Sockets are descriptors: this many source addresses, with as many devices behind each as it takes. */
const MAX_SOURCES = 1000
const MIN_DEVICES_PER_SOURCE = 16

/** One loopback address with some of the fleet's devices behind it. */
export interface Source {
  readonly ip: string
  readonly socket: Socket
  /** Its devices are first, first + 1, ... */
  readonly firstDevice: number
  readonly devices: number
  /** What each of its devices sends every few seconds, ready to be sent. */
  readonly heartbeats: readonly Buffer[]
  /** Who listens to the answers now. */
  receive: (datagram: Buffer) => void
}

/** The devices of one generator: all sockets open, nothing registered yet. */
export class Fleet {
  readonly sources: readonly Source[]

  private constructor(sources: readonly Source[]) {
    this.sources = sources
  }

  static async open(devices: number, target: Target): Promise<Fleet> {
    const count = Math.min(MAX_SOURCES, Math.ceil(devices / MIN_DEVICES_PER_SOURCE))
    const sources: Source[] = []
    for (let index = 0; index < count; index++) {
      const firstDevice = Math.floor((index * devices) / count)
      const afterLast = Math.floor(((index + 1) * devices) / count)
      sources.push(await openSource(deviceAddress(index), firstDevice, afterLast - firstDevice, target))
    }
    return new Fleet(sources)
  }

  /** The sources that lie in this one of equal shares. */
  share(share: number, shares: number): readonly Source[] {
    const { length } = this.sources
    return this.sources.slice(Math.floor((share * length) / shares), Math.floor(((share + 1) * length) / shares))
  }

  close(): void {
    for (const { socket } of this.sources) socket.close()
  }
}

const deviceAddress = (index: number) => `127.1.${index >>> 8}.${index & 255}`

async function openSource(ip: string, firstDevice: number, devices: number, target: Target): Promise<Source> {
  const socket = createSocket('udp4')
  const source: Source = {
    ...{ ip, socket, firstDevice, devices },
    heartbeats: Array.from({ length: devices }, (_, index) => heartbeat(firstDevice + index)),
    receive: () => undefined,
  }
  socket.on('message', (datagram) => source.receive(datagram))
  // A server that has gone shows as lost answers.
  socket.on('error', () => undefined)
  socket.bind({ address: ip })
  await once(socket, 'listening')
  // A connected socket spares the kernel a look-up, and Node the checks of an address, for each datagram.
  socket.connect(target.port, target.host)
  await once(socket, 'connect')
  return source
}
