import { isIP } from 'node:net'
import { ipOfPeerInfo } from './peer-info.ts'

/** A device as its row has it. */
export interface PeerRow {
  readonly id: string
  /** 16 bytes. */
  readonly guid: Uint8Array
  readonly uuid: Uint8Array
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array
  /** In plain form; empty when the row holds none. */
  readonly ip: string
  /** Whole seconds; undefined when the row holds no time. */
  readonly createdMs: number | undefined
}

/** A row as the database gives it, before anything is known of it. */
export interface RawPeerRow {
  readonly idType: string
  readonly id: Uint8Array
  readonly guid: Uint8Array
  readonly uuid: Uint8Array
  readonly pk: Uint8Array
  readonly createdAt: string
  readonly info: string
}

/** Why no server of ours could serve a row. */
export type UnusableRow =
  | 'id-no-text'
  | 'id-too-short'
  | 'id-too-long'
  | 'uuid-empty'
  | 'uuid-too-long'
  | 'key-empty'
  | 'key-length'
  | 'guid-length'

const GUID_BYTES = 16
const KEY_BYTES = 32
/** Bounds of ID_MAX_BYTES and UUID_MAX_BYTES (docs/configuration.md, limits). */
const ID_BYTES = { min: 6, max: 100 }
const UUID_MAX_BYTES = 4_096

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The device of a row, or why there is none. */
export function judgePeerRow(raw: RawPeerRow): PeerRow | UnusableRow {
  const id = idOf(raw)
  if (id === undefined) return 'id-no-text'
  if (raw.id.length < ID_BYTES.min) return 'id-too-short'
  if (raw.id.length > ID_BYTES.max) return 'id-too-long'
  if (raw.uuid.length === 0) return 'uuid-empty'
  if (raw.uuid.length > UUID_MAX_BYTES) return 'uuid-too-long'
  if (raw.pk.length === 0) return 'key-empty'
  if (raw.pk.length !== KEY_BYTES) return 'key-length'
  if (raw.guid.length !== GUID_BYTES) return 'guid-length'
  const ip = ipOfPeerInfo(raw.info)
  return {
    id,
    guid: raw.guid,
    uuid: raw.uuid,
    publicKey: raw.pk,
    ip: isIP(ip) === 0 ? '' : ip,
    createdMs: parseCreatedAt(raw.createdAt),
  }
}

/** Undefined where the id is no text: a blob is never found by an id. */
function idOf({ idType, id }: RawPeerRow): string | undefined {
  if (idType !== 'text') return undefined
  try {
    return utf8.decode(id)
  } catch {
    return undefined
  }
}

/** The id for messages, whatever it is. */
export function shownId({ id }: RawPeerRow): string {
  return JSON.stringify(Buffer.from(id).toString('utf8'))
}

/** `YYYY-MM-DD HH:MM:SS` in UTC, with fractions cut off; undefined where it is something else. */
export function parseCreatedAt(text: string): number | undefined {
  const match = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.\d+)?Z?$/.exec(text)
  if (!match) return undefined
  const ms = Date.parse(`${match[1]}T${match[2]}Z`)
  // Date takes February 30 for March 2.
  return Number.isNaN(ms) || formatCreatedAt(ms) !== `${match[1]} ${match[2]}` ? undefined : ms
}

/** The column's form, in UTC. */
export function formatCreatedAt(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ')
}
