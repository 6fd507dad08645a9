import { isPrivate } from './private-address.ts'

/** Where the devices that were looked at are, and where connections came from lately. */
export interface SourceFacts {
  /** Devices that are online, at most some thousand of them. */
  readonly devices: number
  /** How many of them are at an address, for the addresses of most of them. */
  readonly devicesByIp: ReadonlyMap<string, number>
  /** Connections of the last minutes, and how many of them came from one of `gateways`. */
  readonly connections: number
  readonly connectionsFromGateways: number
  /** The next hops of this machine's default routes. */
  readonly gateways: readonly string[]
}

/** Devices at the machine's own gateway that are no coincidence. Hardly anybody runs clients on a router. */
const FEW_DEVICES = 3
/** Devices at one private address: with fewer it may be a small office behind a router, and a server inside. */
const MANY_DEVICES = 10
/** The same for connections, of which one client makes several. */
const MANY_CONNECTIONS = 30
/** A client inside the container network may be seen as it is. */
const ALMOST_ALL = 0.9

/**
 * The addresses behind which everybody seems to be, because address translation hides who they are; none where sources
 * are seen as they are. Never a public address: what follows from it can't be had by a stranger who sends much from
 * one, and nobody on the internet can connect from a private one.
 */
export function judgeSources(facts: SourceFacts): readonly string[] {
  const { devices, devicesByIp, connections, connectionsFromGateways } = facts
  const gateways = facts.gateways.filter(isPrivate)
  const devicesAtGateways = gateways.reduce((sum, ip) => sum + (devicesByIp.get(ip) ?? 0), 0)
  if (devicesAtGateways >= FEW_DEVICES && devicesAtGateways >= devices * ALMOST_ALL) return gateways
  // Connections that come from elsewhere do not make devices visible, nor the other way round.
  if (connectionsFromGateways >= MANY_CONNECTIONS && connectionsFromGateways >= connections * ALMOST_ALL) {
    return gateways
  }
  return devices >= MANY_DEVICES
    ? [...devicesByIp.keys()].filter((ip) => devicesByIp.get(ip) === devices && isPrivate(ip))
    : []
}
