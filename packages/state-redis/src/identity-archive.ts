import type { PeerId, PeerIdentity } from '@tryst/rendezvous'
import { GroupCommit } from './group-commit.ts'
import {
  asFound,
  DECIDED_BY_OPERATOR,
  DECIDED_BY_RENAME,
  equalBytes,
  IDENTITY_FIELDS,
  type IdentityRecord,
  isGivenUp,
  readIdentity,
} from './identity-record.ts'
import { UNDO_IDENTITIES, VERSION } from './identity-scripts.ts'
import type { KeyedCommand, RedisConnection } from './redis-connection.ts'
import type { RedisReply } from './redis-lane.ts'
import { defineScript } from './redis-script.ts'

/** An identity as it comes from another server, or goes to one. */
export interface ArchivedIdentity extends PeerIdentity {
  readonly createdMs: number
}

/** `other`: another uuid or key is stored, and stays. */
export type ImportOutcome = 'created' | 'same' | 'other' | 'replaced'

export interface Imported {
  readonly id: PeerId
  readonly outcome: ImportOutcome
  /** What stood in Redis before; undefined where nothing did. Not told of those `replaced`. */
  readonly stored?: PeerIdentity
}

/** Identities on their way at once. */
const BATCH = 500
const SCAN_COUNT = '1000'

/**
 * An id that a device has given up is neither taken from it nor given back while it is held. For each key guid, uuid,
 * pk, ip, created, whether to replace ('1'), and uuid and pk of what may be replaced ('' and
 * '': anything). Answers for each its outcome and the version that stands. A second run finds everything the same.
 * What is created counts as last changed at its creation: what nodes remember of the same row is later. What is the
 * same is written again unchanged: WAIT is for it too.
 */
const IMPORT_IDENTITIES = defineScript(
  'import-identities',
  `${VERSION}
local answers = {}
for index, key in ipairs(KEYS) do
  local at = 2 + (index - 1) * 8
  local stored = redis.call('HMGET', key, 'uuid', 'pk', 'v', 'moved')
  local version = later_than(stored[3])
  local outcome = 'created'
  local mayReplace = ARGV[at + 5] == '1'
    and (ARGV[at + 6] == '' or (stored[1] == ARGV[at + 6] and stored[2] == ARGV[at + 7]))
  if stored[4] and is_given_up(stored[4]) then
    redis.call('DEL', key)
    redis.call('HSET', key, 'guid', ARGV[at], 'uuid', ARGV[at + 1], 'pk', ARGV[at + 2], 'ip', ARGV[at + 3],
      'v', version, 'created', ARGV[at + 4], 'by', '${DECIDED_BY_RENAME}')
  elseif not stored[1] then
    version = string.format('%.0f', math.max(1, math.min(time_us, tonumber(ARGV[at + 4]) * 1000)))
    redis.call('HSET', key, 'guid', ARGV[at], 'uuid', ARGV[at + 1], 'pk', ARGV[at + 2], 'ip', ARGV[at + 3],
      'v', version, 'created', ARGV[at + 4])
  elseif stored[1] == ARGV[at + 1] and stored[2] == ARGV[at + 2] then
    redis.call('HSET', key, 'uuid', stored[1])
    outcome = 'same'
  elseif mayReplace then
    redis.call('HSET', key, 'uuid', ARGV[at + 1], 'pk', ARGV[at + 2], 'ip', ARGV[at + 3], 'v', version,
      'by', '${DECIDED_BY_OPERATOR}')
    redis.call('HDEL', key, 'moved')
    redis.call('PERSIST', key)
    outcome = 'replaced'
  else
    outcome = 'other'
  end
  answers[index] = { outcome, version }
end
return answers`,
)

/**
 * Takes many identities into Redis and out of it, while devices go on registering. An import that was interrupted can
 * be run again.
 */
export class RedisIdentityArchive {
  readonly #commit: GroupCommit

  constructor(private readonly connection: RedisConnection) {
    this.#commit = new GroupCommit(connection, UNDO_IDENTITIES)
  }

  /** What an import would do; writes nothing. */
  async *inspect(
    identities: Iterable<ArchivedIdentity>,
    { replace = new Set() }: { readonly replace?: ReadonlySet<string> } = {},
  ): AsyncGenerator<Imported> {
    for (const batch of batchesOf(identities)) {
      const replies = await this.connection.pipelined(batch.map(({ id }) => this.#reading(id)))
      for (const [index, { id, uuid, publicKey }] of batch.entries()) {
        const stored = this.#standing(replies[index])
        if (!stored) yield { id, outcome: 'created' }
        else {
          const isSame = equalBytes(stored.uuid, uuid) && equalBytes(stored.publicKey, publicKey)
          const outcome = isSame ? 'same' : replace.has(id) ? 'replaced' : 'other'
          yield { id, outcome, stored: asFound(id, stored, 'certain') }
        }
      }
    }
  }

  /**
   * Each is stored if its id is free, and replaces what is there only where `replace` says so; where `shown` has the id,
   * only while that stands.
   */
  async *import(
    identities: Iterable<ArchivedIdentity>,
    {
      replace = new Set(),
      shown = new Map(),
    }: { readonly replace?: ReadonlySet<string>; readonly shown?: ReadonlyMap<string, PeerIdentity> } = {},
  ): AsyncGenerator<Imported> {
    for (const batch of batchesOf(identities)) {
      const answers = await Promise.all(
        batch.map(({ id, guid, uuid, publicKey, ip, createdMs }) =>
          this.#commit.write({
            key: this.connection.keys.peer(id),
            script: IMPORT_IDENTITIES,
            args: [
              ...[guid, uuid, publicKey, ip, createdMs, replace.has(id) ? '1' : '0'],
              ...[shown.get(id)?.uuid ?? '', shown.get(id)?.publicKey ?? ''],
            ],
            needsReplica: true,
            undo: (reply) => (outcomeIn(reply) === 'created' ? [versionIn(reply), '', ''] : undefined),
          }),
        ),
      )
      const others = batch.filter((_, index) => outcomeIn(answers[index]) === 'other')
      const replies = await this.connection.pipelined(others.map(({ id }) => this.#reading(id)))
      const stored = new Map(others.map(({ id }, index) => [id, this.#standing(replies[index])]))
      for (const [index, { id }] of batch.entries()) {
        const before = stored.get(id)
        const outcome = outcomeIn(answers[index])
        yield { id, outcome, ...(before ? { stored: asFound(id, before, 'certain') } : {}) }
      }
    }
  }

  /** All identities that are stored all the time; those that come meanwhile may be missing. */
  async *export(): AsyncGenerator<ArchivedIdentity> {
    const seen = new Set<PeerId>()
    const match = `${this.connection.keys.prefix.replace(/[\\*?[\]]/g, '\\$&')}{*}:peer:*`
    for (const lane of this.connection.primaries)
      for (let cursor = '0', isFirst = true; isFirst || cursor !== '0'; isFirst = false) {
        const [page] = await lane.send([{ name: 'SCAN', args: [cursor, 'MATCH', match, 'COUNT', SCAN_COUNT] }])
        if (page instanceof Error) throw page
        const [next, keys] = page as [string, string[]]
        cursor = next
        const ids = keys.map((key) => key.slice(key.indexOf('}:peer:') + '}:peer:'.length) as PeerId)
        const fresh = ids.filter((id) => !seen.has(id))
        const replies = await this.connection.pipelined(fresh.map((id) => this.#reading(id)))
        for (const [index, id] of fresh.entries()) {
          const stored = storedIn(replies[index])
          // Of a device that has another id, or is about to get one, that other row is exported.
          if (!stored || stored.moved || stored.isReserved || seen.has(id)) continue
          seen.add(id)
          const { guid, uuid, publicKey, ip, createdMs } = stored
          yield { id, guid, uuid, publicKey, ip, createdMs }
        }
      }
  }

  /** What stands there, if anything does. */
  #standing(reply: RedisReply | Error | undefined): IdentityRecord | undefined {
    const stored = storedIn(reply)
    return stored && isGivenUp(stored, this.connection.nowMs()) ? undefined : stored
  }

  /** The same, some at a time. */
  async *exportBatches(): AsyncGenerator<readonly ArchivedIdentity[]> {
    let batch: ArchivedIdentity[] = []
    for await (const identity of this.export()) {
      if (batch.push(identity) < BATCH) continue
      yield batch
      batch = []
    }
    if (batch.length > 0) yield batch
  }

  #reading(id: PeerId): KeyedCommand {
    const key = this.connection.keys.peer(id)
    return { key, name: 'HMGET', args: [key, ...IDENTITY_FIELDS], replies: 'bytes' }
  }
}

function storedIn(reply: RedisReply | Error | undefined) {
  if (reply instanceof Error) throw reply
  return readIdentity(reply)
}

function outcomeIn(reply: RedisReply | undefined): ImportOutcome {
  return String((reply as readonly RedisReply[])[0]) as ImportOutcome
}

function versionIn(reply: RedisReply): string {
  return String((reply as readonly RedisReply[])[1])
}

function* batchesOf<T>(items: Iterable<T>): Generator<T[]> {
  let batch: T[] = []
  for (const item of items) {
    batch.push(item)
    if (batch.length < BATCH) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
