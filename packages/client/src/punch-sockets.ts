import type { Endpoint } from '@tryst/protocol'
import type { PunchSocket } from './punch-socket.ts'
import type { Network } from './rendezvous-link.ts'
import { learnUdpPort } from './udp-port.ts'

/** The sockets with which a controller takes part in one punch besides its connection to the server. */
export class PunchSockets {
  /** With the port that it has outside. */
  #udp: { readonly socket: PunchSocket; readonly port: number } | undefined
  #ipv6: PunchSocket | undefined

  /** The port that the device is to punch to; 0: it is not to punch by UDP. */
  get udpPort(): number {
    return this.#udp?.port ?? 0
  }

  get ipv6(): PunchSocket | undefined {
    return this.#ipv6
  }

  addUdp(socket: PunchSocket, port: number): void {
    this.#udp = { socket, port }
  }

  addIpv6(socket: PunchSocket): void {
    this.#ipv6 = socket
  }

  /** Whoever takes a socket closes it. */
  takeUdp(): PunchSocket | undefined {
    const socket = this.#udp?.socket
    this.#udp = undefined
    return socket
  }

  takeIpv6(): PunchSocket | undefined {
    const socket = this.#ipv6
    this.#ipv6 = undefined
    return socket
  }

  /** Closes those that nobody took. */
  async close(): Promise<void> {
    await Promise.all([this.takeUdp()?.close(), this.takeIpv6()?.close()])
  }
}

/** Sockets that get ready. */
export interface Preparation {
  readonly done: Promise<void>
  /** From now on it may take this much longer. */
  limit(ms: number): void
}

export interface PreparationOptions {
  readonly network: Network
  /** The ID server, if the device is to punch by UDP. */
  readonly byUdp: Endpoint | undefined
  /** An address of ours, if IPv6 is to be tried. */
  readonly ipv6Address: string | undefined
  readonly signal: AbortSignal
}

/** Stock clients give up at once on a fast network; the other request is on its way meanwhile, so this one may wait. */
const SHORTEST_LIMIT_MS = 500

/** Opens the sockets that are wanted. What the platform, the machine or the server does not have is done without. */
export function prepareSockets(sockets: PunchSockets, options: PreparationOptions): Preparation {
  const limit = Promise.withResolvers<number>()
  const preparing = Promise.allSettled([prepareUdp(sockets, options, limit.promise), prepareIpv6(sockets, options)])
  return {
    done: preparing.then(() => undefined),
    limit: (ms) => limit.resolve(ms === 0 ? 0 : Math.max(SHORTEST_LIMIT_MS, ms)),
  }
}

async function prepareUdp(sockets: PunchSockets, options: PreparationOptions, limitMs: Promise<number>): Promise<void> {
  const { byUdp: server, network, signal } = options
  if (!server || !network.dialler.punchSocket) return
  const { clock, localAddress } = network
  const socket = await network.dialler.punchSocket({ family: server.ip.includes(':') ? 6 : 4, localAddress })
  const port = await learnUdpPort(socket, server, { clock, limitMs, signal })
  if (port > 0) sockets.addUdp(socket, port)
  else await socket.close()
}

async function prepareIpv6(sockets: PunchSockets, { ipv6Address, network }: PreparationOptions): Promise<void> {
  if (ipv6Address === undefined || !network.dialler.punchSocket) return
  sockets.addIpv6(await network.dialler.punchSocket({ family: 6, localAddress: ipv6Address }))
}
