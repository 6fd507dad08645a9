import { createHash } from 'node:crypto'
import { sourcePrefix } from '@tryst/protocol'
import {
  type AccessStore,
  type DeployToken,
  type DeviceClaim,
  type DeviceFingerprints,
  type Invite,
  type ListedDevice,
  type ListingReason,
  MAX_DECIDED_DEVICES,
  MAX_PENDING_DEVICES,
  MAX_PENDING_OF_ID,
  MAX_PENDING_OF_SOURCE,
  type PeerId,
  REFRESH_PENDING_MS,
  type Standing,
  type TokenUse,
} from '@tryst/rendezvous'
import {
  ADD_TOKEN,
  COUNT_TOKEN,
  DECIDE_DEVICE,
  ENLIST_DEVICE,
  FORGET_DEVICE,
  MOVE_NOTE,
  REVOKE_TOKEN,
} from './access-scripts.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { RedisReply } from './redis-lane.ts'
import type { RedisScript } from './redis-script.ts'

/** A listed device as it stands in Redis. */
interface StoredDevice {
  readonly state: ListedDevice['state']
  readonly why: ListingReason
  readonly ip: string
  readonly first: number
  readonly last: number
}

interface StoredToken {
  readonly name: string
  readonly created: number
  readonly expires?: number
  readonly left?: number
  readonly used: number
}

/** What operators say of devices, in Redis: all nodes ask there, so that it holds everywhere at once. */
export class RedisAccessStore implements AccessStore {
  /** @param connection stays the caller's */
  constructor(private readonly connection: RedisConnection) {}

  async standing(claim: DeviceClaim): Promise<Standing> {
    const { keys } = this.connection
    const [text, isInvited] = await this.#ask(
      [keys.listedDevices(), 'HGET', memberOf(fingerprintsOf(claim))],
      [keys.invites(), 'HEXISTS', claim.id],
    )
    const listed = text ? (JSON.parse(String(text)) as StoredDevice).state : undefined
    if (listed === 'approved' || listed === 'refused') return listed
    return isInvited === 1 ? 'invited' : (listed ?? 'unknown')
  }

  async enlist(claim: DeviceClaim, why: ListingReason, nowMs: number): Promise<void> {
    const { ip } = claim
    const { keys } = this.connection
    await this.#run(
      ENLIST_DEVICE,
      [keys.listedDevices(), keys.pendingDevices()],
      [
        ...[memberOf(fingerprintsOf(claim)), why, ip, sourcePrefix(ip), nowMs],
        ...[REFRESH_PENDING_MS, MAX_PENDING_OF_ID, MAX_PENDING_OF_SOURCE, MAX_PENDING_DEVICES],
      ],
    )
  }

  async settle(claim: DeviceClaim): Promise<void> {
    await this.#run(FORGET_DEVICE, this.#deviceKeys, [claim.id, memberOf(fingerprintsOf(claim))])
  }

  async listed(): Promise<readonly ListedDevice[]> {
    const { keys } = this.connection
    const [reply] = await this.#ask([keys.listedDevices(), 'HGETALL'])
    const listed = [...fieldsOf(reply)].map(([member, text]) => {
      const [uuid = '', key = ''] = member.split(' ', 2)
      const { state, why, ip, first, last } = JSON.parse(text) as StoredDevice
      const id = member.slice(uuid.length + key.length + 2) as PeerId
      return { id, uuid, key, state, why, ip, firstSeenMs: first, lastSeenMs: last }
    })
    return listed.sort((a, b) => b.lastSeenMs - a.lastSeenMs)
  }

  async decide(device: DeviceFingerprints, verdict: 'approved' | 'refused', nowMs: number): Promise<boolean> {
    const { keys } = this.connection
    const all = [keys.listedDevices(), keys.pendingDevices(), keys.decidedDevices()]
    return (await this.#run(DECIDE_DEVICE, all, [memberOf(device), verdict, nowMs, MAX_DECIDED_DEVICES])) === 1
  }

  async invite(id: PeerId, nowMs: number): Promise<void> {
    await this.#ask([this.connection.keys.invites(), 'HSETNX', id, nowMs])
  }

  async invites(): Promise<readonly Invite[]> {
    const [reply] = await this.#ask([this.connection.keys.invites(), 'HGETALL'])
    const invites = [...fieldsOf(reply)].map(([id, createdMs]) => ({ id: id as PeerId, createdMs: Number(createdMs) }))
    return invites.sort((a, b) => b.createdMs - a.createdMs)
  }

  async setNote(id: PeerId, note: string): Promise<void> {
    const key = this.connection.keys.notes()
    await this.#ask(note === '' ? [key, 'HDEL', id] : [key, 'HSET', id, note])
  }

  async notes(): Promise<ReadonlyMap<PeerId, string>> {
    const [reply] = await this.#ask([this.connection.keys.notes(), 'HGETALL'])
    return fieldsOf(reply) as ReadonlyMap<PeerId, string>
  }

  async rename(from: PeerId, to: PeerId): Promise<void> {
    await this.#run(MOVE_NOTE, [this.connection.keys.notes()], [from, to])
  }

  async forget(id: PeerId): Promise<boolean> {
    return Number(await this.#run(FORGET_DEVICE, this.#deviceKeys, [id, ''])) > 0
  }

  async addToken({ name, hash, createdMs, expiresMs, usesLeft, used }: DeployToken): Promise<boolean> {
    const token: StoredToken = {
      ...{ name, created: createdMs, used },
      ...(expiresMs === undefined ? {} : { expires: expiresMs }),
      ...(usesLeft === undefined ? {} : { left: usesLeft }),
    }
    return (await this.#run(ADD_TOKEN, this.#tokenKeys, [name, hash, JSON.stringify(token)])) === 1
  }

  async tokens(): Promise<readonly DeployToken[]> {
    const [reply] = await this.#ask([this.connection.keys.deployTokens(), 'HGETALL'])
    const tokens = [...fieldsOf(reply)].map(([hash, text]) => {
      const { name, created, expires, left, used } = JSON.parse(text) as StoredToken
      return { name, hash, createdMs: created, expiresMs: expires, usesLeft: left, used }
    })
    return tokens.sort((a, b) => a.createdMs - b.createdMs || (a.name < b.name ? -1 : 1))
  }

  async revokeToken(name: string): Promise<boolean> {
    return (await this.#run(REVOKE_TOKEN, this.#tokenKeys, [name])) === 1
  }

  async spendToken(hash: string, nowMs: number): Promise<TokenUse> {
    return String(await this.#run(COUNT_TOKEN, [this.connection.keys.deployTokens()], [hash, nowMs, 1])) as TokenUse
  }

  async returnToken(hash: string): Promise<void> {
    await this.#run(COUNT_TOKEN, [this.connection.keys.deployTokens()], [hash, 0, -1])
  }

  get #deviceKeys(): string[] {
    const { keys } = this.connection
    return [keys.listedDevices(), keys.pendingDevices(), keys.decidedDevices(), keys.invites(), keys.notes()]
  }

  get #tokenKeys(): string[] {
    const { keys } = this.connection
    return [keys.deployTokens(), keys.deployTokenNames()]
  }

  #run(script: RedisScript, keys: readonly string[], args: readonly (string | number)[]): Promise<RedisReply> {
    return this.connection.run({ script, keys, args })
  }

  /** Each a key, the command, and what stands behind the key. */
  async #ask(...commands: readonly [key: string, name: string, ...args: (string | number)[]][]): Promise<RedisReply[]> {
    const replies = await this.connection.pipelined(
      commands.map(([key, name, ...args]) => ({ key, name, args: [key, ...args] })),
    )
    return replies.map((reply) => {
      if (reply instanceof Error) throw reply
      return reply
    })
  }
}

const memberOf = ({ id, uuid, key }: DeviceFingerprints): string => `${uuid} ${key} ${id}`

function fieldsOf(reply: RedisReply | undefined): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  const flat = (reply ?? []) as readonly RedisReply[]
  for (let at = 0; at + 1 < flat.length; at += 2) fields.set(String(flat[at]), String(flat[at + 1]))
  return fields
}

function fingerprintsOf({ id, uuid, publicKey }: DeviceClaim): DeviceFingerprints {
  return { id, uuid: fingerprint(uuid), key: fingerprint(publicKey) }
}

const fingerprint = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 32)
