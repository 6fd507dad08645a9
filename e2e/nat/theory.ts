import type { Behaviour, Dependence } from './behaviour.ts'
import { BEHAVIOUR } from './behaviour.ts'
import { type HomeKind, ROUTERS } from './home.ts'

/** The ways past a relay that clients know. */
export const WAYS = ['tcp', 'udp', 'ipv6'] as const
export type Way = (typeof WAYS)[number]
export type Route = Way | 'relay'

const STRICTNESS: readonly Dependence[] = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent']

/** Routers in a row are as strict as the strictest of them; without any, nothing is translated or filtered. */
export function behaviourOf(home: HomeKind): Behaviour {
  const all = ROUTERS[home].map((kind) => BEHAVIOUR[kind])
  return {
    mapping: strictest(all.map(({ mapping }) => mapping)),
    filtering: strictest(all.map(({ filtering }) => filtering)),
  }
}

const strictest = (all: readonly Dependence[]): Dependence =>
  STRICTNESS.findLast((each) => all.includes(each)) ?? 'endpoint-independent'

/**
 * The routes that a session can take by theory (docs/nat.md, what theory says), where only this way past the relay is
 * tried: the device is asked to open a hole for the initiator, the initiator goes to it.
 */
export function possibleRoutes(way: Way, initiator: HomeKind, device: HomeKind): readonly Route[] {
  const [from, to] = [behaviourOf(initiator), behaviourOf(device)]
  // The ports that the server saw are not those that the other side would see. Clients find out and go to the relay.
  const isSymmetric = [from, to].some(({ mapping }) => mapping !== 'endpoint-independent')
  switch (way) {
    case 'ipv6':
      // Nothing is translated, and both sides send: whatever the firewalls are, each takes what comes for an answer.
      return isSymmetric ? ['relay', way] : [way]
    case 'udp':
      // Both sides send until something comes through, and each sends to the very port that the other sends from.
      return isSymmetric ? ['relay'] : [way]
    case 'tcp':
      return isSymmetric || !letsConnect(from, to) ? ['relay'] : [way]
  }
}

/** Whether the initiator's SYN gets to the device, which has sent one to the initiator before. */
function letsConnect(from: Behaviour, to: Behaviour): boolean {
  switch (to.filtering) {
    case 'endpoint-independent':
    case 'address-dependent':
      return true
    case 'address-and-port-dependent':
      // To this router both SYNs belong to one connection. But if the device's gets through to the initiator, where
      // nobody listens, it is answered with a reset, and the router forgets the connection.
      return from.filtering !== 'endpoint-independent'
  }
}
