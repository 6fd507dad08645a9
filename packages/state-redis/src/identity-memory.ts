import type { PeerId } from '@tryst/rendezvous'
import { type IdentityRecord, movedMarkText, readMovedMark } from './identity-record.ts'

/** What this node knows of a device, and whether Redis still has to be told. */
export interface RememberedIdentity extends IdentityRecord {
  /** Its address has changed while Redis was away. */
  readonly isOwed: boolean
}

const VERSION_AT = 0
const CREATED_AT = 8
const FLAGS_AT = 16
const KEY_LENGTH_AT = 17
const UUID_LENGTH_AT = 18
const GUID_AT = 20
const VARIABLE_AT = 36
const GUID_BYTES = 16
const OWED = 1
const DECIDED = 2
const MOVED = 4
/** Between an address and what stands behind it. */
const SEPARATOR = '\n'

/**
 * The identities that this node has acknowledged or read; the ones longest not seen go first. Each is one string of
 * bytes, which takes a fifth of the memory of objects and arrays.
 */
export class IdentityMemory {
  readonly #packed = new Map<PeerId, string>()

  constructor(private readonly maxIdentities: number) {}

  get size(): number {
    return this.#packed.size
  }

  ids(): PeerId[] {
    return [...this.#packed.keys()]
  }

  has(id: PeerId): boolean {
    return this.#packed.has(id)
  }

  get(id: PeerId): RememberedIdentity | undefined {
    const packed = this.#packed.get(id)
    return packed === undefined ? undefined : unpack(packed)
  }

  /** The device was seen again. While there is room for all the order does not matter, and changing it is not free. */
  touch(id: PeerId): void {
    const packed = this.#packed.get(id)
    if (packed === undefined || this.#packed.size < this.maxIdentities) return
    this.#packed.delete(id)
    this.#packed.set(id, packed)
  }

  set(id: PeerId, record: IdentityRecord, { isOwed = false } = {}): void {
    this.#packed.delete(id)
    this.#packed.set(id, pack(record, isOwed))
    if (this.#packed.size <= this.maxIdentities) return
    const [oldest] = this.#packed.keys()
    if (oldest !== undefined) this.#packed.delete(oldest)
  }

  forget(id: PeerId): void {
    this.#packed.delete(id)
  }
}

function pack(record: IdentityRecord, isOwed: boolean): string {
  const { guid, uuid, publicKey, ip, version, createdMs, isDecided, moved } = record
  const address = Buffer.from(moved ? ip + SEPARATOR + movedMarkText(moved) : ip)
  const bytes = Buffer.alloc(VARIABLE_AT + publicKey.length + uuid.length + address.length)
  bytes.writeDoubleLE(version, VERSION_AT)
  bytes.writeDoubleLE(createdMs, CREATED_AT)
  bytes[FLAGS_AT] = (isOwed ? OWED : 0) | (isDecided ? DECIDED : 0) | (moved ? MOVED : 0)
  bytes[KEY_LENGTH_AT] = publicKey.length
  bytes.writeUInt16LE(uuid.length, UUID_LENGTH_AT)
  bytes.set(guid.subarray(0, GUID_BYTES), GUID_AT)
  bytes.set(publicKey, VARIABLE_AT)
  bytes.set(uuid, VARIABLE_AT + publicKey.length)
  bytes.set(address, VARIABLE_AT + publicKey.length + uuid.length)
  return bytes.toString('latin1')
}

function unpack(packed: string): RememberedIdentity {
  const bytes = Buffer.from(packed, 'latin1')
  const flags = bytes[FLAGS_AT] ?? 0
  const uuidAt = VARIABLE_AT + (bytes[KEY_LENGTH_AT] ?? 0)
  const ipAt = uuidAt + bytes.readUInt16LE(UUID_LENGTH_AT)
  const address = bytes.toString('utf8', ipAt)
  const ipEnd = (flags & MOVED) === 0 ? address.length : address.indexOf(SEPARATOR)
  return {
    guid: Uint8Array.from(bytes.subarray(GUID_AT, VARIABLE_AT)),
    publicKey: Uint8Array.from(bytes.subarray(VARIABLE_AT, uuidAt)),
    uuid: Uint8Array.from(bytes.subarray(uuidAt, ipAt)),
    ip: address.slice(0, ipEnd),
    version: bytes.readDoubleLE(VERSION_AT),
    createdMs: bytes.readDoubleLE(CREATED_AT),
    isOwed: (flags & OWED) !== 0,
    isDecided: (flags & DECIDED) !== 0,
    ...((flags & MOVED) === 0 ? {} : { moved: readMovedMark(address.slice(ipEnd + SEPARATOR.length)) }),
  }
}
