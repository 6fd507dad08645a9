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
  /** This is the identity whatever nodes remember: the operator has decided so, or the id was given up before. */
  readonly isDecided: boolean
  /** The device has given the id up for another one. */
  readonly moved?: MovedMark
  /** The device is about to take this id; it lapses by itself. */
  readonly isReserved?: boolean
}

/** What stands at an id that was given up, as one text: the hold's end, `:`, the new id. */
export interface MovedMark {
  readonly to: PeerId
  /** Nobody else gets the id until then (Redis' time); undefined: the change is not complete yet. */
  readonly untilMs: number | undefined
}

/** The fields in the order in which scripts and HMGET give them. */
export const IDENTITY_FIELDS = ['guid', 'uuid', 'pk', 'ip', 'v', 'created', 'by', 'moved', 'reserved'] as const
export const DECIDED_BY_OPERATOR = 'operator'
/** The id was given up by another device before. */
export const DECIDED_BY_RENAME = 'rename'

/** Undefined where the hash does not exist. */
export function readIdentity(reply: RedisReply | undefined): IdentityRecord | undefined {
  if (!Array.isArray(reply) || !reply[0]) return undefined
  const [guid, uuid, publicKey, ip, version, created, by, moved, reserved] = reply as (Buffer | null | undefined)[]
  return {
    guid: copy(guid),
    uuid: copy(uuid),
    publicKey: copy(publicKey),
    ip: ip?.toString() ?? '',
    version: Number(version ?? 0),
    createdMs: Number(created ?? 0),
    isDecided: by != null && [DECIDED_BY_OPERATOR, DECIDED_BY_RENAME].includes(by.toString()),
    ...(moved ? { moved: readMovedMark(moved.toString()) } : {}),
    ...(reserved ? { isReserved: true } : {}),
  }
}

export function readMovedMark(text: string): MovedMark {
  const colon = text.indexOf(':')
  return { to: text.slice(colon + 1) as PeerId, untilMs: colon > 0 ? Number(text.slice(0, colon)) : undefined }
}

export function movedMarkText({ to, untilMs }: MovedMark): string {
  return `${untilMs ?? ''}:${to}`
}

/** The id is free again, although something stands there. */
export function isGivenUp({ moved }: IdentityRecord, nowMs: number): boolean {
  return moved?.untilMs !== undefined && moved.untilMs <= nowMs
}

export function asFound(id: PeerId, record: IdentityRecord, standing: IdentityStanding): FoundIdentity {
  const { guid, uuid, publicKey, ip, moved } = record
  return { id, guid, uuid, publicKey, ip, standing, ...(moved ? { movedTo: moved.to } : {}) }
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

function copy(bytes: Buffer | null | undefined): Uint8Array {
  return bytes ? Uint8Array.from(bytes) : new Uint8Array()
}
