import { createHash } from 'node:crypto'

/**
 * Every key in Redis is built here. Keys that one script touches share a hash tag (`{...}`), so that they lie on one
 * shard of a Redis Cluster. Lifetimes and races: docs/state.md, Redis.
 */

/** Peers fall into this many buckets; the keys of a bucket lie on one shard. */
export const PEER_BUCKETS = 256
/** Clients take a uuid; any text will do. */
const LONGEST_SESSION_NAME = 128

const encoder = new TextEncoder()

/** FNV-1a over UTF-8, 32 bits. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of encoder.encode(text)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}

/** The bucket of a peer. Stored data depends on it: it never changes. */
export function peerBucket(id: string): number {
  const hash = fnv1a(id)
  return (hash ^ (hash >>> 8) ^ (hash >>> 16) ^ (hash >>> 24)) & (PEER_BUCKETS - 1)
}

export class RedisKeys {
  constructor(readonly prefix: string) {
    if (/[{}]/.test(prefix)) throw new Error(`REDIS_PREFIX is "${prefix}"; braces are not allowed in it`)
  }

  /**
   * Identity of a device. Hash: guid, uuid, pk (bytes), ip, created (ms), v (version: Redis' time of the last change,
   * µs), by ('operator' where one has decided whose the id is). Lives for good.
   */
  peer(id: string): string {
    return `${this.prefix}{${peerBucket(id)}}:peer:${id}`
  }

  /**
   * Presence of a device. Hash: o (incarnation of the owner), i (ip), c (connection), v (version), n (number of the
   * owner's step), po and pn (the owner before it, and the number of its step). Lives 1 h, renewed.
   */
  presence(id: string): string {
    return `${this.prefix}{${peerBucket(id)}}:at:${id}`
  }

  /** Drawn by whoever first finds it missing; another value means that data were lost. String. Lives for good. */
  epoch(): string {
    return `${this.prefix}{nodes}:epoch`
  }

  /** Public key of the server, base64; written by the first node, compared by the others. String. Lives for good. */
  serverKey(): string {
    return `${this.prefix}{nodes}:key`
  }

  /** Leases of nodes. Sorted set: incarnation by end of lease (Redis' time, ms). Entries go when they lapse. */
  nodes(): string {
    return `${this.prefix}{nodes}:leases`
  }

  /** When each node last renewed its lease itself. Sorted set: incarnation by Redis' time, ms. Goes with the leases. */
  nodeRenewals(): string {
    return `${this.prefix}{nodes}:renewals`
  }

  /** What nodes say of themselves. Hash: incarnation to JSON. Goes with the leases. */
  nodeInfo(): string {
    return `${this.prefix}{nodes}:info`
  }

  /** Leases of relays. Sorted set: address and incarnation by end of lease (Redis' time, ms). Entries go when they lapse. */
  relays(): string {
    return `${this.prefix}{nodes}:relay-leases`
  }

  /** What relays announce. Hash: address and incarnation to JSON. Goes with the leases. */
  relayInfo(): string {
    return `${this.prefix}{nodes}:relays`
  }

  /**
   * Devices that have asked and need the operator's word. Hash: fingerprints of uuid and key, and the id, to JSON (state,
   * why, ip, source, first, last). Bounded; an entry goes when the device has registered or is forgotten.
   */
  listedDevices(): string {
    return `${this.prefix}{access}:devices`
  }

  /** Those of them that wait. Sorted set: the same names by when they asked last (ms). At most 1,000. */
  pendingDevices(): string {
    return `${this.prefix}{access}:pending`
  }

  /** Those of them that were approved or refused. Sorted set: the same names by when that was (ms). At most 10,000. */
  decidedDevices(): string {
    return `${this.prefix}{access}:decided`
  }

  /** Ids that the first device which asks gets. Hash: id to time (ms). An entry goes when the device has registered. */
  invites(): string {
    return `${this.prefix}{access}:invites`
  }

  /** What operators want to remember of devices. Hash: id to text. Lives for good. */
  notes(): string {
    return `${this.prefix}{access}:notes`
  }

  /** What devices deploy themselves with. Hash: SHA-256 of the token to JSON (name, created, expires, left, used). Until revoked. */
  deployTokens(): string {
    return `${this.prefix}{access}:tokens`
  }

  /** Hash: name of a deploy token to its SHA-256. Until revoked. */
  deployTokenNames(): string {
    return `${this.prefix}{access}:token-names`
  }

  /**
   * What ID servers and relays saw of attempts, each entry what one of them saw within a second. Stream: JSON (code or
   * session, node, steps). At most some 20,000; TRACE_KEEP (a day).
   */
  trace(): string {
    return `${this.prefix}{trace}:attempts`
  }

  /** Nodes where initiators wait that are seen from this IP. Sorted set: incarnation by end (Redis' time, ms). 60 s. */
  waiting(ip: string): string {
    return `${this.prefix}{w${fnv1a(ip) & 1023}}:waiting:${ip}`
  }

  /** A session that an ID server introduced, and who of its halves waits where. Hash. 60 s. */
  session(uuid: string): string {
    const name = uuid.length > LONGEST_SESSION_NAME ? createHash('sha256').update(uuid).digest('hex') : uuid
    return `${this.prefix}{s${fnv1a(uuid) & 1023}}:session:${name}`
  }
}
