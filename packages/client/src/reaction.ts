import { type Endpoint, formatEndpoint, type RendezvousMessage, unmangleAddress } from '@tryst/protocol'
import type { LinkTransport } from './link.ts'
import { decodeNatType, type NatType } from './nat-test.ts'
import { ipv6In } from './punch-answer.ts'
import { DUPLICATE_WINDOW_MS } from './stock-client.ts'

/** The last push that a device reacted to. */
export interface SeenPush {
  readonly initiator: string
  readonly atMs: number
}

/** What a device looks at when it is told that somebody wants to connect. */
export interface DeviceFacts {
  readonly transport: LinkTransport
  readonly natType: NatType
  /** An option of the device; without it every session is relayed. */
  readonly mayListen: boolean
  /** The server was reached over IPv6, where there is no local address to offer. */
  readonly reachesServerByIpv6: boolean
  /** The device's own choice of a relay. */
  readonly ownRelayServer: string | undefined
  /** Used when neither the device nor the server names a relay. */
  readonly derivedRelayServer: string
  readonly lastPush: SeenPush | undefined
}

/** How the initiator can come to a session besides. */
interface Ways {
  readonly relayServer: string
  /** Where the initiator waits for datagrams over IPv6. */
  readonly ipv6?: Endpoint
}

/** What a device does about a push. `handle`: the bytes that tell the server which initiator is meant. */
export type Reaction =
  | { readonly kind: 'ignore'; readonly reason: 'duplicate' | 'notAPush' }
  | ({ readonly kind: 'punch'; readonly handle: Uint8Array; readonly initiator: Endpoint } & Ways)
  | ({ readonly kind: 'punchByUdp'; readonly handle: Uint8Array; readonly initiator: Endpoint } & Ways)
  | ({ readonly kind: 'offerLocalAddress'; readonly initiator: Endpoint } & Ways)
  | ({ readonly kind: 'beginRelay'; readonly handle: Uint8Array } & Ways)
  | {
      readonly kind: 'joinRelay'
      readonly handle: Uint8Array
      readonly relayServer: string
      readonly pairing: string
      readonly isSecure: boolean
    }

/** Decides about PunchHole, FetchLocalAddr and RequestRelay (docs/protocol.md, flows of a session). */
export function decideReaction(
  push: RendezvousMessage,
  facts: DeviceFacts,
  nowMs: number,
): { readonly reaction: Reaction; readonly seen: SeenPush | undefined } {
  const handle = handleOf(push)
  if (!handle) return { reaction: { kind: 'ignore', reason: 'notAPush' }, seen: facts.lastPush }
  const initiator = unmangleAddress(handle)
  const seen: SeenPush = { initiator: formatEndpoint(initiator), atMs: nowMs }
  const isDuplicate = facts.lastPush?.initiator === seen.initiator && nowMs - facts.lastPush.atMs < DUPLICATE_WINDOW_MS
  return {
    reaction: isDuplicate ? { kind: 'ignore', reason: 'duplicate' } : react(push, facts, handle, initiator),
    seen,
  }
}

function handleOf(push: RendezvousMessage): Uint8Array | undefined {
  switch (push.union) {
    case 'punchHole':
      return push.punchHole?.socketAddr
    case 'fetchLocalAddr':
      return push.fetchLocalAddr?.socketAddr
    case 'requestRelay':
      return push.requestRelay?.socketAddr
    default:
      return undefined
  }
}

function react(push: RendezvousMessage, facts: DeviceFacts, handle: Uint8Array, initiator: Endpoint): Reaction {
  const mustRelay = facts.transport === 'websocket' || !facts.mayListen
  const ipv6 = ipv6For(push, facts)
  const relayServerOr = (proposed: string | null | undefined) =>
    facts.ownRelayServer || proposed || facts.derivedRelayServer
  if (push.requestRelay) {
    const { relayServer, uuid, secure } = push.requestRelay
    // Here the initiator already goes to the relay it names: the device has no choice.
    return {
      kind: 'joinRelay',
      handle,
      relayServer: relayServer || facts.derivedRelayServer,
      pairing: uuid ?? '',
      isSecure: secure ?? false,
    }
  }
  if (push.fetchLocalAddr) {
    const relayServer = relayServerOr(push.fetchLocalAddr.relayServer)
    return mustRelay || facts.reachesServerByIpv6
      ? { kind: 'beginRelay', handle, relayServer, ...ipv6 }
      : { kind: 'offerLocalAddress', initiator, relayServer, ...ipv6 }
  }
  const relayServer = relayServerOr(push.punchHole?.relayServer)
  const udpPort = push.punchHole?.udpPort ?? 0
  const isRelayed =
    facts.transport === 'websocket' ||
    (!facts.mayListen && udpPort <= 0) ||
    facts.natType === 'symmetric' ||
    decodeNatType(push.punchHole?.natType) === 'symmetric' ||
    push.punchHole?.forceRelay === true
  if (isRelayed) return { kind: 'beginRelay', handle, relayServer, ...ipv6 }
  return udpPort > 0
    ? { kind: 'punchByUdp', handle, initiator: { ip: initiator.ip, port: udpPort }, relayServer, ...ipv6 }
    : { kind: 'punch', handle, initiator, relayServer, ...ipv6 }
}

/** IPv6 is tried beside everything else, but for what the initiator wants relayed. */
function ipv6For({ punchHole, fetchLocalAddr }: RendezvousMessage, { transport }: DeviceFacts): { ipv6?: Endpoint } {
  const ipv6 = ipv6In((punchHole ?? fetchLocalAddr)?.socketAddrV6)
  return ipv6 && transport !== 'websocket' && punchHole?.forceRelay !== true ? { ipv6 } : {}
}
