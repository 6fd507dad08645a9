import { type Endpoint, rendezvous, unmangleAddress } from '@tryst/protocol'
import { ConnectError, type ConnectFailure } from './connect-error.ts'
import { ENDED } from './inbox.ts'
import { decodeNatType, type NatType } from './nat-test.ts'
import { type Answer, isMessage } from './rendezvous-link.ts'

/** What a controller makes of one answer to its PunchHoleRequest. */
export type PunchVerdict =
  /** The device waits at this address. */
  | {
      readonly kind: 'direct'
      readonly address: Endpoint
      readonly isLocal: boolean
      /** The device waits for datagrams there. */
      readonly isUdp: boolean
      /** Where it waits for datagrams over IPv6. */
      readonly ipv6: Endpoint | undefined
      readonly deviceNat: NatType
      readonly relayServer: string
      readonly signedIdentity: Uint8Array
      /** Not zero: the server wants to know how long the session lasts. */
      readonly feedback: number
    }
  /** The device is on its way to this relay. */
  | {
      readonly kind: 'relay'
      readonly relayServer: string
      readonly pairing: string
      readonly ipv6: Endpoint | undefined
      readonly signedIdentity: Uint8Array
      readonly feedback: number
    }
  /** Nothing usable came; the next attempt follows, at once where the wait was not used up. */
  | { readonly kind: 'again' }
  | { readonly kind: 'failed'; readonly error: ConnectError }

const FAILURES: Record<number, readonly [ConnectFailure, string]> = {
  [rendezvous.PunchHoleResponse.Failure.ID_NOT_EXIST]: ['idNotExist', 'ID does not exist'],
  [rendezvous.PunchHoleResponse.Failure.OFFLINE]: ['offline', 'Remote desktop is offline'],
  [rendezvous.PunchHoleResponse.Failure.LICENSE_MISMATCH]: ['keyMismatch', 'Key mismatch'],
  [rendezvous.PunchHoleResponse.Failure.LICENSE_OVERUSE]: ['keyOveruse', 'Key overuse'],
}

/** Evaluates an answer in the order of stock clients (docs/protocol.md, PunchHoleResponse). */
export function judgePunchAnswer(answer: Answer): PunchVerdict {
  if (answer === ENDED || !isMessage(answer)) return { kind: 'again' }
  if (answer.punchHoleResponse) return judgeResponse(answer.punchHoleResponse)
  const response = answer.relayResponse
  if (!response) return { kind: 'again' }
  // Stock clients do not look at refuse_reason here: they fail for want of a relay's name.
  if (!response.relayServer) return failed('relayUnreachable', 'Failed to connect to relay server: Please try later')
  return {
    kind: 'relay',
    relayServer: response.relayServer,
    pairing: response.uuid ?? '',
    ipv6: ipv6In(response.socketAddrV6),
    signedIdentity: response.pk ?? new Uint8Array(0),
    feedback: response.feedback ?? 0,
  }
}

/** A mangled address with a port; without one there is no address. */
export function ipv6In(mangled: Uint8Array | null | undefined): Endpoint | undefined {
  const address = mangled?.length ? unmangleAddress(mangled) : undefined
  return address && address.port > 0 ? address : undefined
}

function judgeResponse(response: rendezvous.PunchHoleResponse.$Properties): PunchVerdict {
  if (response.socketAddr?.length) {
    return {
      kind: 'direct',
      address: unmangleAddress(response.socketAddr),
      isLocal: response.isLocal ?? false,
      isUdp: response.isUdp ?? false,
      ipv6: ipv6In(response.socketAddrV6),
      deviceNat: decodeNatType(response.natType),
      relayServer: response.relayServer ?? '',
      signedIdentity: response.pk ?? new Uint8Array(0),
      feedback: response.feedback ?? 0,
    }
  }
  const [failure, text] = FAILURES[response.failure ?? 0] ?? (['unknownFailure', 'other punch hole failure'] as const)
  const { otherFailure } = response
  if (!otherFailure) return failed(failure, text)
  // Stock clients show the server's words whatever they are. These are their own, with the code of the attempt.
  const isSame = otherFailure.startsWith(`${text} (`) && otherFailure.endsWith(')')
  return failed(isSame ? failure : 'otherFailure', otherFailure)
}

const failed = (failure: ConnectFailure, text: string): PunchVerdict => ({
  kind: 'failed',
  error: new ConnectError(failure, text),
})
