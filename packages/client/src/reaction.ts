import { type Endpoint, formatEndpoint, type RendezvousMessage, unmangleAddress } from '@tryst/protocol'
import type { LinkTransport } from './link.ts'
import { decodeNatType, type NatType } from './nat-test.ts'
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

/** What a device does about a push. `handle`: the bytes that tell the server which initiator is meant. */
export type Reaction =
  | { readonly kind: 'ignore'; readonly reason: 'duplicate' | 'notAPush' }
  | { readonly kind: 'punch'; readonly handle: Uint8Array; readonly initiator: Endpoint; readonly relayServer: string }
  | { readonly kind: 'offerLocalAddress'; readonly initiator: Endpoint; readonly relayServer: string }
  | { readonly kind: 'beginRelay'; readonly handle: Uint8Array; readonly relayServer: string }
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
      ? { kind: 'beginRelay', handle, relayServer }
      : { kind: 'offerLocalAddress', initiator, relayServer }
  }
  const relayServer = relayServerOr(push.punchHole?.relayServer)
  const isRelayed =
    mustRelay ||
    facts.natType === 'symmetric' ||
    decodeNatType(push.punchHole?.natType) === 'symmetric' ||
    push.punchHole?.forceRelay === true
  return isRelayed ? { kind: 'beginRelay', handle, relayServer } : { kind: 'punch', handle, initiator, relayServer }
}
