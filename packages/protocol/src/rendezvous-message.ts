import { Reader, Writer } from 'protobufjs/minimal.js'
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

/** How one member is written, whatever it is. */
interface MemberCodec {
  decode(reader: Reader, length: number): unknown
  encode(message: object, writer: Writer): Writer
}

/** Each member's field number and codec. */
const MEMBERS: { readonly [K in Member]: readonly [number: number, codec: MemberCodec] } = {
  registerPeer: [6, rendezvous.RegisterPeer],
  registerPeerResponse: [7, rendezvous.RegisterPeerResponse],
  punchHoleRequest: [8, rendezvous.PunchHoleRequest],
  punchHole: [9, rendezvous.PunchHole],
  punchHoleSent: [10, rendezvous.PunchHoleSent],
  punchHoleResponse: [11, rendezvous.PunchHoleResponse],
  fetchLocalAddr: [12, rendezvous.FetchLocalAddr],
  localAddr: [13, rendezvous.LocalAddr],
  configureUpdate: [14, rendezvous.ConfigUpdate],
  registerPk: [15, rendezvous.RegisterPk],
  registerPkResponse: [16, rendezvous.RegisterPkResponse],
  softwareUpdate: [17, rendezvous.SoftwareUpdate],
  requestRelay: [18, rendezvous.RequestRelay],
  relayResponse: [19, rendezvous.RelayResponse],
  testNatRequest: [20, rendezvous.TestNatRequest],
  testNatResponse: [21, rendezvous.TestNatResponse],
  peerDiscovery: [22, rendezvous.PeerDiscovery],
  onlineRequest: [23, rendezvous.OnlineRequest],
  onlineResponse: [24, rendezvous.OnlineResponse],
  keyExchange: [25, rendezvous.KeyExchange],
  hc: [26, rendezvous.HealthCheck],
  httpProxyRequest: [27, rendezvous.HttpProxyRequest],
  httpProxyResponse: [28, rendezvous.HttpProxyResponse],
}

const LENGTH_DELIMITED = 2
const tagOf = (number: number) => (number << 3) | LENGTH_DELIMITED
const MEMBER_OF_TAG = new Map((Object.keys(MEMBERS) as Member[]).map((name) => [tagOf(MEMBERS[name][0]), name]))

/** The bytes of a message with one member. */
export function encodeRendezvous(message: OutgoingRendezvousMessage): Uint8Array {
  const names = Object.keys(message)
  const name = names[0] as Member
  const member = message[name]
  // The library's envelope looks for each of 23 members, which costs more than writing the one that is there.
  if (names.length !== 1 || !member || !(name in MEMBERS)) return rendezvous.RendezvousMessage.encode(message).finish()
  const [number, codec] = MEMBERS[name]
  const writer = Writer.create().uint32(tagOf(number)).fork()
  return codec.encode(member, writer).ldelim().finish()
}

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
    return decodeLoneMember(reader) ?? decodeEnvelope(reader)
  } catch (cause) {
    throw new ProtocolError('not a rendezvous message', { cause })
  }
}

/**
 * What clients send: one member and nothing else. Undefined for everything else, with the reader back at the start. The
 * library's envelope clears the 22 other members of an object that has just been made, at half the cost of decoding.
 */
function decodeLoneMember(reader: Reader): RendezvousMessage | undefined {
  if (reader.len === 0) return undefined
  const union = MEMBER_OF_TAG.get(reader.uint32())
  const length = union === undefined ? -1 : reader.uint32()
  if (union === undefined || reader.pos + length !== reader.len) {
    reader.pos = 0
    return undefined
  }
  // The codec of a member makes instances of its class.
  return { union, [union]: MEMBERS[union][1].decode(reader, length) } as unknown as RendezvousMessage
}

function decodeEnvelope(reader: Reader): RendezvousMessage {
  // The decoder sets at most one member of a oneof, and members are instances of their classes.
  return rendezvous.RendezvousMessage.decode(reader) as unknown as RendezvousMessage
}
