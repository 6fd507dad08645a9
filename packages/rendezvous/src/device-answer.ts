import { type Endpoint, forwarded, mangleAddress, type OutgoingRendezvousMessage, rendezvous } from '@tryst/protocol'
import { hostOf } from './choose-relay.ts'
import { isPunchable } from './punch-push.ts'

/** What the server adds to a device's answer. */
export interface AnswerFacts {
  /** Signed id and key of the device that was asked; empty when there is none. */
  readonly signedIdentity: Uint8Array
  /** Source of the device's connection or datagram. */
  readonly from: Endpoint
  /** It was a datagram: that is where the device punches by UDP. */
  readonly isUdp: boolean
  /** The controller is known by an address of the other family. */
  readonly isOtherFamily: boolean
  /** Drawn for the mangled address. */
  readonly tm: number
  /** The relay that the device names, as the controller can reach it. */
  readonly relayServer: string
  /** Not zero: the controller is to tell the server how long the session lives. */
  readonly feedback: number
}

/**
 * PunchHoleSent on its way to the controller: the device punched towards it and waits at the source of the connection
 * or datagram that brought the answer. Devices so old that they name no version get no key: they know no handshake.
 */
export function punchHoleAnswer(sent: rendezvous.PunchHoleSent, facts: AnswerFacts): OutgoingRendezvousMessage {
  const response: rendezvous.PunchHoleResponse.$Properties = {
    socketAddr: mangleAddress(facts.from, facts.tm),
    pk: sent.version === '' ? NOTHING : facts.signedIdentity,
    relayServer: facts.relayServer,
  }
  // A type without a name would be news to the controller; it then takes the type as unknown.
  if (sent.natType in rendezvous.NatType) response.natType = sent.natType
  // The device asked over the family that it prefers. The controller tries an address of a SYMMETRIC device for a second.
  if (facts.isOtherFamily) response.natType = rendezvous.NatType.SYMMETRIC
  if (facts.feedback !== 0) response.feedback = facts.feedback
  if (facts.isUdp) response.isUdp = true
  if (sent.upnpPort !== 0) response.upnpPort = sent.upnpPort
  if (isPunchable(sent.socketAddrV6)) response.socketAddrV6 = sent.socketAddrV6
  return { punchHoleResponse: response }
}

/** LocalAddr on its way to the controller: the device's address in the network that both are in. */
export function localAddressAnswer(local: rendezvous.LocalAddr, facts: AnswerFacts): OutgoingRendezvousMessage {
  const response: rendezvous.PunchHoleResponse.$Properties = {
    // Nothing in this place would read as a failure.
    socketAddr: local.localAddr.length > 0 ? local.localAddr : mangleAddress(facts.from, facts.tm),
    pk: local.version === '' ? NOTHING : facts.signedIdentity,
    relayServer: facts.relayServer,
    isLocal: true,
  }
  if (facts.feedback !== 0) response.feedback = facts.feedback
  if (isPunchable(local.socketAddrV6)) response.socketAddrV6 = local.socketAddrV6
  return { punchHoleResponse: response }
}

/** Where the LAN rules send a controller. */
export interface LanRelayFacts {
  readonly initiatorIsLan: boolean
  /** `localIp:port` when the server has a LAN, else undefined. */
  readonly lanRelay: string | undefined
  readonly nextRelay: () => string
}

/** A relay that only the LAN can reach is exchanged for one that the controller can. */
export function relayForInitiator(relay: string, { initiatorIsLan, lanRelay, nextRelay }: LanRelayFacts): string {
  if (relay === '' || lanRelay === undefined) return relay
  if (initiatorIsLan) return lanRelay
  return hostOf(relay) === hostOf(lanRelay) ? nextRelay() : relay
}

/** RelayResponse on its way to the controller: the device's id becomes its signed identity, the handle is cleared. */
export function relayAnswer(
  response: rendezvous.RelayResponse,
  { signedIdentity, relayServer, feedback }: Pick<AnswerFacts, 'signedIdentity' | 'relayServer' | 'feedback'>,
): OutgoingRendezvousMessage {
  // A pk that the device itself set is nobody's signature.
  const own = { id: null, pk: null }
  const identity = response.id ? { pk: response.version === '' ? NOTHING : signedIdentity } : {}
  return { relayResponse: forwarded(response, { ...own, ...identity, socketAddr: NOTHING, relayServer, feedback }) }
}

const NOTHING = new Uint8Array(0)
