/** What Redis answers: as in RESP, with status and error apart from text. Text stands for bytes, one character each. */
export type Reply = string | number | null | { readonly ok: string } | { readonly err: string } | readonly Reply[]

/** Fields and values in turn: with some fields a list is smaller than a Map, and as fast. */
type Hash = string[]
type SortedSet = Map<string, number>

interface Entry {
  readonly value: string | Hash | SortedSet
  expiresMs: number
}

type Arguments = readonly string[]
const OK = { ok: 'OK' } as const
const WRONG_TYPE = 'WRONGTYPE Operation against a key holding the wrong kind of value'

/** Keys and their values as one Redis server has them, and the commands on them that this project uses. */
export class Keyspace {
  readonly #entries = new Map<string, Entry>()
  /** Redis' time, ms. */
  nowMs = 0

  get size(): number {
    return this.#entries.size
  }

  /** Undefined: the command is not known here. */
  execute(name: string, args: Arguments): Reply | undefined {
    return COMMANDS[name]?.(this, args)
  }

  has(key: string): boolean {
    return this.#find(key) !== undefined
  }

  text(key: string): string | undefined {
    const value = this.#find(key)?.value
    if (value === undefined || typeof value === 'string') return value
    throw new Error(WRONG_TYPE)
  }

  hash(key: string): Hash | undefined {
    const value = this.#find(key)?.value
    if (value === undefined || Array.isArray(value)) return value
    throw new Error(WRONG_TYPE)
  }

  hashToWrite(key: string): Hash {
    const there = this.hash(key)
    if (there) return there
    const made: Hash = []
    this.put(key, made)
    return made
  }

  sortedSet(key: string): SortedSet | undefined {
    const value = this.#find(key)?.value
    if (value === undefined || value instanceof Map) return value
    throw new Error(WRONG_TYPE)
  }

  sortedSetToWrite(key: string): SortedSet {
    const there = this.sortedSet(key)
    if (there) return there
    const made: SortedSet = new Map()
    this.put(key, made)
    return made
  }

  put(key: string, value: Entry['value']): void {
    this.#entries.set(key, { value, expiresMs: Number.POSITIVE_INFINITY })
  }

  delete(key: string): boolean {
    return this.has(key) && this.#entries.delete(key)
  }

  /** @param atMs in Redis' time */
  expire(key: string, atMs: number): boolean {
    const entry = this.#find(key)
    if (entry) entry.expiresMs = atMs
    return entry !== undefined
  }

  /** False: it is not there or would have stayed anyway. */
  persist(key: string): boolean {
    const entry = this.#find(key)
    if (entry?.expiresMs === Number.POSITIVE_INFINITY) return false
    return this.expire(key, Number.POSITIVE_INFINITY)
  }

  #find(key: string): Entry | undefined {
    const entry = this.#entries.get(key)
    if (!entry || entry.expiresMs > this.nowMs) return entry
    this.#entries.delete(key)
    return undefined
  }
}

const COMMANDS: Readonly<Record<string, (keys: Keyspace, args: Arguments) => Reply>> = {
  PING: () => ({ ok: 'PONG' }),
  // Nothing is replicated here.
  WAIT: () => 0,
  EXISTS: (keys, args) => args.filter((key) => keys.has(key)).length,
  DEL: (keys, args) => args.filter((key) => keys.delete(key)).length,
  PEXPIRE: (keys, [key = '', ms = '']) => (keys.expire(key, keys.nowMs + Number(ms)) ? 1 : 0),
  PEXPIREAT: (keys, [key = '', ms = '']) => (keys.expire(key, Number(ms)) ? 1 : 0),
  PERSIST: (keys, [key = '']) => (keys.persist(key) ? 1 : 0),
  GET: (keys, [key = '']) => keys.text(key) ?? null,
  SET: (keys, [key = '', value = '', ...options]) => {
    const before = keys.text(key)
    const isKept = options.includes('NX') && before !== undefined
    if (!isKept) keys.put(key, value)
    if (options.includes('GET')) return before ?? null
    return isKept ? null : OK
  },
  HGET: (keys, [key = '', field = '']) => fieldOf(keys.hash(key), field),
  HMGET: (keys, [key = '', ...fields]) => {
    const hash = keys.hash(key)
    return fields.map((field) => fieldOf(hash, field))
  },
  HGETALL: (keys, [key = '']) => [...(keys.hash(key) ?? [])],
  HSET: (keys, [key = '', ...pairs]) => {
    const hash = keys.hashToWrite(key)
    let added = 0
    for (let at = 0; at + 1 < pairs.length; at += 2) added += set(hash, pairs[at] ?? '', pairs[at + 1] ?? '')
    return added
  },
  HSETNX: (keys, [key = '', field = '', value = '']) => {
    if (fieldOf(keys.hash(key), field) !== null) return 0
    return set(keys.hashToWrite(key), field, value)
  },
  HDEL: (keys, [key = '', ...fields]) => {
    const hash = keys.hash(key)
    if (!hash) return 0
    let removed = 0
    for (const field of fields) {
      const at = placeOf(hash, field)
      if (at < 0) continue
      hash.splice(at, 2)
      removed++
    }
    if (hash.length === 0) keys.delete(key)
    return removed
  },
  ZADD: (keys, [key = '', ...rest]) => {
    const onlyGreater = rest[0] === 'GT'
    const pairs = onlyGreater ? rest.slice(1) : rest
    const set = keys.sortedSetToWrite(key)
    let added = 0
    for (let at = 0; at + 1 < pairs.length; at += 2) {
      const [score, member] = [Number(pairs[at]), pairs[at + 1] ?? '']
      const before = set.get(member)
      if (before === undefined) added++
      if (before === undefined || !onlyGreater || score > before) set.set(member, score)
    }
    return added
  },
  ZREM: (keys, [key = '', ...members]) => remove(keys, key, members),
  ZSCORE: (keys, [key = '', member = '']) => {
    const score = keys.sortedSet(key)?.get(member)
    return score === undefined ? null : String(score)
  },
  ZRANGE: (keys, [key = '', first = '', last = '', option]) => {
    const ranked = ranking(keys.sortedSet(key))
    const from = indexOf(first, ranked.length)
    const range = ranked.slice(Math.max(0, from), indexOf(last, ranked.length) + 1)
    return option === 'WITHSCORES' ? range.flatMap(([member, score]) => [member, String(score)]) : range.map(memberOf)
  },
  ZRANGEBYSCORE: (keys, [key = '', min = '', max = '']) => within(keys.sortedSet(key), min, max),
  ZREMRANGEBYSCORE: (keys, [key = '', min = '', max = '']) => remove(keys, key, within(keys.sortedSet(key), min, max)),
}

function placeOf(hash: Hash, field: string): number {
  for (let at = 0; at < hash.length; at += 2) if (hash[at] === field) return at
  return -1
}

function fieldOf(hash: Hash | undefined, field: string): string | null {
  if (!hash) return null
  const at = placeOf(hash, field)
  return at < 0 ? null : (hash[at + 1] ?? null)
}

function set(hash: Hash, field: string, value: string): number {
  const at = placeOf(hash, field)
  if (at < 0) {
    hash.push(field, value)
    return 1
  }
  hash[at + 1] = value
  return 0
}

function remove(keys: Keyspace, key: string, members: readonly string[]): number {
  const set = keys.sortedSet(key)
  if (!set) return 0
  const removed = members.filter((member) => set.delete(member)).length
  if (set.size === 0) keys.delete(key)
  return removed
}

/** By score, then by bytes. */
function ranking(set: SortedSet | undefined): [string, number][] {
  return [...(set ?? [])].sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1))
}

const memberOf = ([member]: [string, number]) => member

function indexOf(text: string, length: number): number {
  const index = Number(text)
  return index < 0 ? length + index : index
}

function within(set: SortedSet | undefined, min: string, max: string): string[] {
  const [from, to] = [scoreOf(min), scoreOf(max)]
  return ranking(set).flatMap(([member, score]) => (score >= from && score <= to ? [member] : []))
}

function scoreOf(text: string): number {
  if (text === '-inf') return Number.NEGATIVE_INFINITY
  return text === '+inf' ? Number.POSITIVE_INFINITY : Number(text)
}
