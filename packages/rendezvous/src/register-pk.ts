import { PUBLIC_KEY_BYTES } from '@tryst/protocol'
import type { PeerIdentity } from './peer-identity.ts'
import { MIN_REGISTERED_ID_BYTES, type RegistrationLimits } from './settings.ts'

/** A RegisterPk as it arrived. */
export interface Registration {
  readonly id: string
  readonly uuid: Uint8Array
  readonly publicKey: Uint8Array
  /** Source address in plain form. */
  readonly ip: string
}

/** What the message alone says: ignored without an answer, refused, or worth a look-up. */
export type RegistrationForm = 'ignore' | 'uuid-mismatch' | 'invalid' | 'acceptable'

const utf8 = new TextEncoder()

/** The rules that need no store (docs/protocol.md, registration). */
export function checkRegistrationForm(registration: Registration, limits: RegistrationLimits): RegistrationForm {
  const { id, uuid, publicKey } = registration
  if (uuid.length === 0 || publicKey.length === 0) return 'ignore'
  const idBytes = utf8.encode(id).length
  // Stock clients draw another id when they are told so: the way out for an id that can't be registered.
  if (idBytes < MIN_REGISTERED_ID_BYTES) return 'uuid-mismatch'
  if (idBytes > limits.idMaxBytes || uuid.length > limits.uuidMaxBytes) return 'invalid'
  return publicKey.length === PUBLIC_KEY_BYTES ? 'acceptable' : 'invalid'
}

/** What has to be done for a registration whose id was looked up. */
export type RegistrationDecision =
  /** Nobody has the id: store it. */
  | 'create'
  /** The device itself, nothing to store. */
  | 'confirm'
  /** The device itself from another address. */
  | 'move'
  /** The device itself, from its stored address, with another key. */
  | 'change-key'
  /** Its uuid, but neither its key nor its address, or a uuid that is no secret: set up anew somewhere else, or pretended. */
  | 'new-key-from-elsewhere'
  /** Another device has the id. */
  | 'uuid-mismatch'

/**
 * A stored uuid never changes. It is no secret: whoever has it with both another key and another address needs the
 * operator's word, and is not told to throw the id away.
 *
 * @param stored what the store has for the id
 */
export function decideRegisterPk(
  { uuid, publicKey, ip }: Registration,
  stored: PeerIdentity | undefined,
): RegistrationDecision {
  if (!stored) return 'create'
  if (!sameBytes(stored.uuid, uuid)) return 'uuid-mismatch'
  const sameIp = stored.ip === ip
  if (sameBytes(stored.publicKey, publicKey)) return sameIp ? 'confirm' : 'move'
  // A phone's uuid is its key: with another key it has another uuid. This is somebody whom the server told the key.
  const isUuidPublic = sameBytes(stored.uuid, stored.publicKey)
  return sameIp && !isUuidPublic ? 'change-key' : 'new-key-from-elsewhere'
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
