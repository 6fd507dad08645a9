import type { rendezvous } from '@tryst/protocol'
import type { PunchDecision } from './punch-hole.ts'

/** The form of an IPv6 address in `bytes` fields. */
const IPV6_BYTES = 18
const MULTICAST = 0xff

/** PunchHole: what the controller said about its ways, for a device that is to make a hole or to bring a relay. */
export function punchHole(
  request: rendezvous.PunchHoleRequest,
  { natType, relay: relayServer, forceRelay }: PunchDecision,
  socketAddr: Uint8Array,
): rendezvous.PunchHole.$Properties {
  const push: rendezvous.PunchHole.$Properties = { socketAddr, relayServer, natType }
  if (isPort(request.udpPort)) push.udpPort = request.udpPort
  if (forceRelay) push.forceRelay = true
  if (request.upnpPort !== 0) push.upnpPort = request.upnpPort
  if (isPunchable(request.socketAddrV6)) push.socketAddrV6 = request.socketAddrV6
  return push
}

/** FetchLocalAddr, which has no room for more. */
export function fetchLocalAddr(
  request: rendezvous.PunchHoleRequest,
  { relay: relayServer }: PunchDecision,
  socketAddr: Uint8Array,
): rendezvous.FetchLocalAddr.$Properties {
  const push: rendezvous.FetchLocalAddr.$Properties = { socketAddr, relayServer }
  if (isPunchable(request.socketAddrV6)) push.socketAddrV6 = request.socketAddrV6
  return push
}

export const isPort = (port: number): boolean => port > 0 && port <= 0xffff

/**
 * Whether a mangled address is one that a peer can punch to: IPv6 with a port, and of a single machine. The other peer
 * will send datagrams there for some seconds; to a group they would multiply.
 */
export function isPunchable(mangled: Uint8Array): boolean {
  if (mangled.length !== IPV6_BYTES || mangled[0] === MULTICAST) return false
  return mangled[IPV6_BYTES - 2] !== 0 || mangled[IPV6_BYTES - 1] !== 0
}
