import type { FoundIdentity } from './identity-store.ts'
import type { PeerId } from './peer-identity.ts'
import { sameBytes } from './register-pk.ts'
import type { RegistrationLimits } from './settings.ts'

/** A device that wants another id (docs/protocol.md, change of id). */
export interface IdChange {
  /** The id that it says it has. */
  readonly from: PeerId
  readonly to: PeerId
  readonly uuid: Uint8Array
  /** Source address in plain form; undefined where it says nothing, since it hides who is behind it. */
  readonly ip: string | undefined
}

/**
 * What stock clients let their users type: an ASCII letter, then 5 to 15 word characters or hyphens. Word characters are
 * those of Unicode, but for joiners, which nobody sees.
 */
const NEW_ID = /^[A-Za-z][\p{Alphabetic}\p{M}\p{Nd}\p{Pc}-]{5,15}$/u

const utf8 = new TextEncoder()

/**
 * Whether a device may call itself so. Only composed forms: two ids that look the same are the same, and are found by
 * whoever types them.
 */
export function isAcceptableNewId(id: string, { idMaxBytes }: Pick<RegistrationLimits, 'idMaxBytes'>): boolean {
  return NEW_ID.test(id) && id.normalize('NFKC') === id && utf8.encode(id).length <= idMaxBytes
}

/** What the store knows of both ids. */
export interface IdChangeFacts {
  readonly current: FoundIdentity | undefined
  readonly target: FoundIdentity | undefined
}

export type IdChangeDecision =
  /** The device has proved that the old id is its own, and the new one is free or its own too. */
  | 'rename'
  /** Asked again, after it was done; or nothing is to be done. */
  | 'done'
  /** Nobody has the old id, or it is not this device's. */
  | 'not-its-own'
  /** Another device has the new id. */
  | 'taken'
  /** The store is not sure of what it says. */
  | 'uncertain'
  /** The old id was given up for another one, which this device does not seem to know: it registers again first. */
  | 'later'

/** The uuid is the proof. Where it is the device's key, which every controller is told, it has to come from its address. */
export function decideIdChange({ uuid, ip, to }: IdChange, { current, target }: IdChangeFacts): IdChangeDecision {
  if (current && current.standing !== 'certain') return 'uncertain'
  if (!current || !sameBytes(current.uuid, uuid)) return 'not-its-own'
  if (sameBytes(current.uuid, current.publicKey) && current.ip !== ip) return 'not-its-own'
  if (target && target.standing !== 'certain') return 'uncertain'
  if (target && !sameBytes(target.uuid, uuid)) return 'taken'
  if (current.id === to) return 'done'
  if (current.movedTo === undefined) return 'rename'
  return current.movedTo === to && target && !target.movedTo ? 'done' : 'later'
}
