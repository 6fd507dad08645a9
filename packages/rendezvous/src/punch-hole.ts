import { rendezvous } from '@tryst/protocol'

const { SYMMETRIC } = rendezvous.NatType

/** What is known when a controller asks for a device that is online. */
export interface PunchFacts {
  readonly initiator: { readonly ip: string; readonly transport: 'tcp' | 'websocket'; readonly isLan: boolean }
  readonly device: { readonly ip: string; readonly isLan: boolean }
  /** As the controller sent it; unknown numbers are passed on. */
  readonly natType: number
  readonly alwaysUseRelay: boolean
  /** The relay that is offered, and the one that devices inside the LAN can reach. */
  readonly relay: string
  readonly lanRelay: string
}

export interface PunchDecision {
  /** Whether the device is asked for its local address or to punch a hole. */
  readonly ask: 'local-address' | 'punch'
  readonly natType: number
  readonly relay: string
  /** The device will send to the initiator's true port: the handle has to hold it. */
  readonly needsTruePort: boolean
}

/** docs/protocol.md, punch-hole decision. */
export function decidePunchHole(facts: PunchFacts): PunchDecision {
  const { initiator, device } = facts
  const oneInside = initiator.isLan !== device.isLan
  const natType = facts.alwaysUseRelay || oneInside ? SYMMETRIC : facts.natType
  const relay = (facts.alwaysUseRelay || oneInside) && device.isLan ? facts.lanRelay : facts.relay
  // Few routers hairpin a packet to their own public address, so peers behind one address meet on the LAN. A WebSocket
  // controller cannot: it always needs a relay.
  const sameNetwork = (initiator.isLan && device.isLan) || initiator.ip === device.ip
  if (sameNetwork && initiator.transport !== 'websocket') {
    return { ask: 'local-address', natType, relay, needsTruePort: false }
  }
  return { ask: 'punch', natType, relay, needsTruePort: natType !== SYMMETRIC }
}
