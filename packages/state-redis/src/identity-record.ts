import type { FoundIdentity, IdentityStanding, PeerId } from '@tryst/rendezvous'
import type { RedisReply } from './redis-lane.ts'

/** A device's identity with what its hash holds besides. */
export interface IdentityRecord {
  readonly guid: Uint8Array
  readonly uuid: Uint8Array
  readonly publicKey: Uint8Array
  readonly ip: string
  /** Rises with every change: Redis' time in µs, at least one more than before. */
  readonly version: number
  readonly createdMs: number
  /** The operator has decided that this is the identity, whatever nodes remember. */
  readonly isDecided: boolean
}

/** The fields in the order in which scripts and HMGET give them. */
export const IDENTITY_FIELDS = ['guid', 'uuid', 'pk', 'ip', 'v', 'created', 'by'] as const
export const DECIDED_BY_OPERATOR = 'operator'

/** Undefined where the hash does not exist. */
export function readIdentity(reply: RedisReply | undefined): IdentityRecord | undefined {
  if (!Array.isArray(reply) || !reply[0]) return undefined
  const [guid, uuid, publicKey, ip, version, created, by] = reply as (Buffer | null | undefined)[]
  return {
    guid: copy(guid),
    uuid: copy(uuid),
    publicKey: copy(publicKey),
    ip: ip?.toString() ?? '',
    version: Number(version ?? 0),
    createdMs: Number(created ?? 0),
    isDecided: by?.toString() === DECIDED_BY_OPERATOR,
  }
}

export function asFound(id: PeerId, record: IdentityRecord, standing: IdentityStanding): FoundIdentity {
  const { guid, uuid, publicKey, ip } = record
  return { id, guid, uuid, publicKey, ip, standing }
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

function copy(bytes: Buffer | null | undefined): Uint8Array {
  return bytes ? Uint8Array.from(bytes) : new Uint8Array()
}
