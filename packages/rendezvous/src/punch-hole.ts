import { rendezvous } from '@tryst/protocol'
import { isPrivate } from './private-address.ts'

const { SYMMETRIC } = rendezvous.NatType

/** What is known when a controller asks for a device that is online. */
export interface PunchFacts {
  readonly initiator: { readonly ip: string; readonly transport: 'tcp' | 'websocket'; readonly isLan: boolean }
  readonly device: { readonly ip: string; readonly isWebSocket: boolean; readonly isLan: boolean }
  /** As the controller sent it; unknown numbers are passed on. */
  readonly natType: number
  /** The controller wants a relay whatever else is possible. */
  readonly forceRelay: boolean
  readonly alwaysUseRelay: boolean
  /** The relay that is offered, and the one that devices inside the LAN can reach. */
  readonly relay: string
  readonly lanRelay: string
}

export interface PunchDecision {
  /** Whether the device is asked for its local address or to punch a hole. */
  readonly ask: 'local-address' | 'punch'
  readonly natType: number
  /** The device is to bring the session to a relay even if it has other ways than a hole. */
  readonly forceRelay: boolean
  readonly relay: string
  /** The device will send to the initiator's true port: the handle has to hold it. */
  readonly needsTruePort: boolean
}

/** docs/protocol.md, punch-hole decision. */
export function decidePunchHole(facts: PunchFacts): PunchDecision {
  const { initiator, device } = facts
  const oneInside = initiator.isLan !== device.isLan
  const forceRelay = facts.alwaysUseRelay || facts.forceRelay
  // A hole in a NAT of one address family leads nowhere in the other. SYMMETRIC says so to devices of every version, and
  // leaves the way open that peers with both families have: the addresses of `socket_addr_v6`.
  // Nor can one in a network that this server is in as well meet one outside: each would be told an address of the other
  // that means nothing where it is, or that no router on the way knows anything of.
  const isRelayed =
    forceRelay ||
    oneInside ||
    isIpv6(initiator.ip) !== isIpv6(device.ip) ||
    isPrivate(initiator.ip) !== isPrivate(device.ip)
  const natType = isRelayed ? SYMMETRIC : facts.natType
  const relay = (facts.alwaysUseRelay || oneInside) && device.isLan ? facts.lanRelay : facts.relay
  // Few routers hairpin a packet to their own public address, so peers behind one address meet on the LAN. Over a
  // WebSocket neither can: it always needs a relay. Nor does one that asks for a relay, which FetchLocalAddr cannot say.
  const sameNetwork = (initiator.isLan && device.isLan) || initiator.ip === device.ip
  const hasWebSocket = initiator.transport === 'websocket' || device.isWebSocket
  if (sameNetwork && !facts.forceRelay && !hasWebSocket) {
    return { ask: 'local-address', natType, forceRelay, relay, needsTruePort: false }
  }
  return { ask: 'punch', natType, forceRelay, relay, needsTruePort: natType !== SYMMETRIC }
}

/** Of an address in plain form. */
const isIpv6 = (ip: string): boolean => ip.includes(':')
