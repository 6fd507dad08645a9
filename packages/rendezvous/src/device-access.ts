import type { PeerId } from './peer-identity.ts'

/**
 * Which devices that nobody knows yet may register: all, those that the operator approves, or those that were named
 * before or deployed with a token (docs/access.md).
 */
export const ACCESS_MODES = ['open', 'approve', 'invite'] as const
export type AccessMode = (typeof ACCESS_MODES)[number]

/** A device as it asks to be registered. Byte arrays may be views: a store keeps nothing of them. */
export interface DeviceClaim {
  readonly id: PeerId
  readonly uuid: Uint8Array
  readonly publicKey: Uint8Array
  /** Source address in plain form. */
  readonly ip: string
}

/** Who asks, without the uuid itself, which lets whoever has it register: 32 hexadecimal digits of its SHA-256 each. */
export interface DeviceFingerprints {
  readonly id: PeerId
  readonly uuid: string
  readonly key: string
}

/** Why a device needs the operator's word: nobody has the id; the device has it, but with another key. */
export type ListingReason = 'new-device' | 'key-changed'

export type ListedState = 'pending' | 'approved' | 'refused'

/** A device that has asked, and what the operator has said. */
export interface ListedDevice extends DeviceFingerprints {
  readonly state: ListedState
  readonly why: ListingReason
  /** Where it asked from last. */
  readonly ip: string
  readonly firstSeenMs: number
  readonly lastSeenMs: number
}

/** What stands about a device that asks: the operator's word on this very device counts before that on its id. */
export type Standing = ListedState | 'invited' | 'unknown'

/** An id that the first device which asks for it gets. */
export interface Invite {
  readonly id: PeerId
  readonly createdMs: number
}

/** What lets a device deploy itself. The token is known to whoever created it; here is only its hash. */
export interface DeployToken {
  /** What operators call it; unique. */
  readonly name: string
  /** SHA-256 of the token, hexadecimal. */
  readonly hash: string
  readonly createdMs: number
  /** Undefined: it does not lapse. */
  readonly expiresMs: number | undefined
  /** Devices that may still be deployed with it; undefined: any number. */
  readonly usesLeft: number | undefined
  readonly used: number
}

export type TokenUse = 'accepted' | 'unknown' | 'expired' | 'used-up'

/** Devices that wait for the operator at once; of more, those not seen for longest are forgotten. */
export const MAX_PENDING_DEVICES = 1_000
/** Of one source address (IPv6: /64), so that nobody pushes the others out. */
export const MAX_PENDING_OF_SOURCE = 50
/** That claim the same id. */
export const MAX_PENDING_OF_ID = 5
/** Approved or refused devices that are remembered until they have registered; of more the oldest are forgotten. */
export const MAX_DECIDED_DEVICES = 10_000
/** A device that waits asks every 30 s; its time and address are written down this often. */
export const REFRESH_PENDING_MS = 60_000

/**
 * What operators have said of devices. Durable, shared by the nodes of one server. Every failure is a
 * StoreUnavailableError; what a promise resolves with the store has accepted.
 */
export interface AccessStore {
  standing(claim: DeviceClaim): Promise<Standing>

  /** Puts a device in the list of those that wait, or notes that it still does; leaves one alone that was decided. */
  enlist(claim: DeviceClaim, why: ListingReason, nowMs: number): Promise<void>

  /** The device is registered now: what let it in is used up, and nobody else waits for its id as a new device. */
  settle(claim: DeviceClaim): Promise<void>

  /** Devices that wait or have been decided and have not registered yet; the one seen last stands first. */
  listed(): Promise<readonly ListedDevice[]>

  /** The operator's word on a listed device. False: it is not listed any more. */
  decide(device: DeviceFingerprints, verdict: 'approved' | 'refused', nowMs: number): Promise<boolean>

  /** Lets the first device in that asks for this id. */
  invite(id: PeerId, nowMs: number): Promise<void>
  invites(): Promise<readonly Invite[]>

  /** What operators want to remember of a device; an empty text removes it. */
  setNote(id: PeerId, note: string): Promise<void>
  notes(): Promise<ReadonlyMap<PeerId, string>>

  /** The device has another id from now on: its note goes with it. */
  rename(from: PeerId, to: PeerId): Promise<void>

  /** Drops everything about an id. False: there was nothing. */
  forget(id: PeerId): Promise<boolean>

  /** False: there is one of this name. */
  addToken(token: DeployToken): Promise<boolean>
  tokens(): Promise<readonly DeployToken[]>
  /** False: there is none of this name. */
  revokeToken(name: string): Promise<boolean>
  /** Counts one use, where there is one left. */
  spendToken(hash: string, nowMs: number): Promise<TokenUse>
  /** Takes a use back that came to nothing. */
  returnToken(hash: string): Promise<void>
}

export interface AdmissionFacts {
  readonly mode: AccessMode
  readonly why: ListingReason
  readonly standing: Standing
}

/** `wait`: it is put in the list. Who is not admitted is told NOT_DEPLOYED: every client keeps its id and asks again. */
export type Admission = 'admit' | 'wait' | 'turn-away'

/** Whether a device that needs somebody's word may register. Known devices with their key need none. */
export function decideAdmission({ mode, why, standing }: AdmissionFacts): Admission {
  if (standing === 'approved') return 'admit'
  if (why === 'key-changed') return standing === 'refused' ? 'turn-away' : 'wait'
  if (mode === 'open' || standing === 'invited') return 'admit'
  if (standing === 'refused') return 'turn-away'
  return mode === 'approve' ? 'wait' : 'turn-away'
}
