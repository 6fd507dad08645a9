import { Reader } from 'protobufjs/minimal.js'
import { ProtocolError } from './errors.ts'
import { rendezvous } from './generated/rendezvous.js'

export { rendezvous } from './generated/rendezvous.js'

/** A message to be sent: exactly one member is set. */
export type OutgoingRendezvousMessage = rendezvous.RendezvousMessage.$Properties

/** The members of the envelope, as they are when received: fields that were not sent have their defaults. */
export interface RendezvousMembers {
  readonly registerPeer: rendezvous.RegisterPeer
  readonly registerPeerResponse: rendezvous.RegisterPeerResponse
  readonly punchHoleRequest: rendezvous.PunchHoleRequest
  readonly punchHole: rendezvous.PunchHole
  readonly punchHoleSent: rendezvous.PunchHoleSent
  readonly punchHoleResponse: rendezvous.PunchHoleResponse
  readonly fetchLocalAddr: rendezvous.FetchLocalAddr
  readonly localAddr: rendezvous.LocalAddr
  readonly configureUpdate: rendezvous.ConfigUpdate
  readonly registerPk: rendezvous.RegisterPk
  readonly registerPkResponse: rendezvous.RegisterPkResponse
  readonly softwareUpdate: rendezvous.SoftwareUpdate
  readonly requestRelay: rendezvous.RequestRelay
  readonly relayResponse: rendezvous.RelayResponse
  readonly testNatRequest: rendezvous.TestNatRequest
  readonly testNatResponse: rendezvous.TestNatResponse
  readonly peerDiscovery: rendezvous.PeerDiscovery
  readonly onlineRequest: rendezvous.OnlineRequest
  readonly onlineResponse: rendezvous.OnlineResponse
  readonly keyExchange: rendezvous.KeyExchange
  readonly hc: rendezvous.HealthCheck
  readonly httpProxyRequest: rendezvous.HttpProxyRequest
  readonly httpProxyResponse: rendezvous.HttpProxyResponse
}

type Member = keyof RendezvousMembers
type None = { readonly [K in Member]?: undefined }
type Only<K extends Member> = { readonly union: K } & Pick<RendezvousMembers, K> & Omit<None, K>

/** A message that was received; `union` names its one member, undefined when that is unknown to us. */
export type RendezvousMessage = { [K in Member]: Only<K> }[Member] | ({ readonly union?: undefined } & None)

export const encodeRendezvous = (message: OutgoingRendezvousMessage): Uint8Array =>
  rendezvous.RendezvousMessage.encode(message).finish()

/**
 * Reads one message. Unknown fields are kept and written again when the message is forwarded; nesting is bounded by
 * the library (100 levels).
 *
 * @throws ProtocolError when the bytes are no message
 */
export function decodeRendezvous(bytes: Uint8Array): RendezvousMessage {
  const reader = Reader.create(bytes)
  reader.discardUnknown = false
  try {
    // The decoder sets at most one member of a oneof, and members are instances of their classes.
    return rendezvous.RendezvousMessage.decode(reader) as unknown as RendezvousMessage
  } catch (cause) {
    throw new ProtocolError('not a rendezvous message', { cause })
  }
}
