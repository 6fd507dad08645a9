import type { Endpoint } from '@tryst/protocol'
import type { Way } from './first-success.ts'
import { openKcpLink } from './kcp-link.ts'
import type { Link } from './link.ts'
import type { PunchSocket } from './punch-socket.ts'
import type { PunchSockets } from './punch-sockets.ts'
import { type Network, openDirectLink } from './rendezvous-link.ts'

/** Where a device waits. */
export interface DeviceAddresses {
  /** For a TCP connection from this port of ours; undefined: it is not to be tried. */
  readonly tcp: { readonly address: Endpoint; readonly localPort: number } | undefined
  readonly udp: Endpoint | undefined
  readonly ipv6: Endpoint | undefined
}

/** The ways to these addresses that we have sockets for. */
export function directWays(
  addresses: DeviceAddresses,
  sockets: PunchSockets,
  { network, limitMs }: { readonly network: Network; readonly limitMs: number },
): Way<Link>[] {
  const ways: Way<Link>[] = []
  const { tcp, udp, ipv6 } = addresses
  if (tcp) {
    const { address, localPort } = tcp
    ways.push((signal) => openDirectLink(network, address, { limitMs, localPort, signal }))
  }
  const udpSocket = udp && sockets.takeUdp()
  if (udp && udpSocket) ways.push(overUdp(udpSocket, udp, network, limitMs))
  const ipv6Socket = ipv6 && sockets.takeIpv6()
  if (ipv6 && ipv6Socket) ways.push(overUdp(ipv6Socket, ipv6, network, limitMs))
  return ways
}

const overUdp =
  (socket: PunchSocket, peer: Endpoint, { clock, links }: Network, limitMs: number): Way<Link> =>
  async (signal) => {
    const link = await openKcpLink(socket, peer, { role: 'connect', clock, limitMs, signal })
    return links?.add(link) ?? link
  }
