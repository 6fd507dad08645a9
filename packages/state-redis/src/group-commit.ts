import { StoreUnavailableError } from '@tryst/rendezvous'
import { isReply, type RedisConnection, type ScriptCall, scriptCommand } from './redis-connection.ts'
import type { RedisCommand, RedisLane, RedisReply } from './redis-lane.ts'
import type { RedisScript } from './redis-script.ts'

/** A write that shares its script and its WAIT with others. */
export interface IdentityWrite {
  readonly key: string
  readonly script: RedisScript
  /** Arguments of this key. */
  readonly args: readonly (string | number | Uint8Array)[]
  /** Accepted only when a replica has it, where there are any. */
  readonly needsReplica: boolean
  /** Takes the write back; undefined where it did nothing. Called when no replica has received it. */
  readonly undo: (reply: RedisReply) => readonly (string | number | Uint8Array)[] | undefined
}

interface Queued extends IdentityWrite {
  readonly giveUpMs: number
  resolve(reply: RedisReply): void
  reject(error: Error): void
}

interface SharedCall {
  readonly members: readonly Queued[]
  readonly call: ScriptCall
}

/** From being asked to an answer: a client is told within a second. */
const BUDGET_MS = 900
/** What is left less than that is not begun. */
const LEAST_BUDGET_MS = 100
const REPLICA_WAIT_MS = 500
/** Keys of one call of a script: Redis serves nobody else meanwhile. */
const MAX_KEYS = 200
/** Keys of one flight. */
const MAX_FLIGHT = 2_000
const MAX_QUEUED = 20_000

/**
 * Writes of one turn of the event loop, and all that come while those are under way, go to Redis together: one call of
 * each script, one WAIT. There is one flight at a time for each primary.
 */
export class GroupCommit {
  readonly #queues = new Map<RedisLane, Queued[]>()
  readonly #inFlight = new Set<RedisLane>()
  #queued = 0
  #scheduled = false

  constructor(
    private readonly connection: RedisConnection,
    private readonly undoScript: RedisScript,
  ) {}

  /** Resolves with the script's answer for this key when it is accepted. */
  async write(write: IdentityWrite): Promise<RedisReply> {
    const lane = this.connection.laneFor(write.key)
    if (this.#queued >= MAX_QUEUED)
      throw new StoreUnavailableError(`${this.#queued} registrations wait for Redis already`)
    return new Promise((resolve, reject) => {
      const queue = this.#queues.get(lane)
      const queued = { ...write, giveUpMs: performance.now() + BUDGET_MS, resolve, reject }
      if (queue) queue.push(queued)
      else this.#queues.set(lane, [queued])
      this.#queued++
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      for (const lane of [...this.#queues.keys()]) if (!this.#inFlight.has(lane)) this.#start(lane)
    })
  }

  #start(lane: RedisLane): void {
    const queue = this.#queues.get(lane) ?? []
    const flight = queue.splice(0, MAX_FLIGHT)
    if (queue.length === 0) this.#queues.delete(lane)
    this.#queued -= flight.length
    const now = performance.now()
    const writes = flight.filter((write) => {
      const isInTime = write.giveUpMs - now >= LEAST_BUDGET_MS
      if (!isInTime) write.reject(new StoreUnavailableError('Redis has been too slow for this registration'))
      return isInTime
    })
    if (writes.length === 0) return
    this.#inFlight.add(lane)
    this.#fly(lane, writes)
      .catch((error: unknown) => {
        for (const write of writes) write.reject(error as Error)
      })
      .finally(() => {
        this.#inFlight.delete(lane)
        if (this.#queues.has(lane)) this.#start(lane)
      })
  }

  async #fly(lane: RedisLane, writes: readonly Queued[]): Promise<void> {
    const calls = this.#calls(writes)
    const mustReachReplica = this.#expectsReplicas(lane) && writes.some(({ needsReplica }) => needsReplica)
    const budgetMs = Math.min(...writes.map(({ giveUpMs }) => giveUpMs)) - performance.now()
    const replicaWaitMs = mustReachReplica ? Math.floor(Math.min(REPLICA_WAIT_MS, budgetMs / 2)) : 0
    const scriptMs = Math.min(this.connection.timeoutMs, budgetMs - replicaWaitMs)
    const deadline = this.connection.deadlineIn(scriptMs, calls[0]?.call.keys[0] ?? '')
    const wait: RedisCommand[] = mustReachReplica ? [{ name: 'WAIT', args: [1, replicaWaitMs] }] : []
    const send = (indexes: readonly number[], knownTo?: RedisLane) =>
      lane.send(
        [...indexes.map((index) => scriptCommand(calls[index]?.call as ScriptCall, deadline, knownTo)), ...wait],
        Math.ceil(scriptMs + replicaWaitMs),
      )
    const all = calls.map((_, index) => index)
    const replies = await send(all, lane)
    const unknown = all.filter((index) => isReply(replies[index], 'NOSCRIPT'))
    if (unknown.length > 0) {
      const again = await send(unknown)
      for (const [place, index] of unknown.entries()) replies[index] = again[place] ?? null
      if (mustReachReplica) replies[calls.length] = again[unknown.length] ?? null
    }
    const reached = mustReachReplica ? replies[calls.length] : undefined
    if (reached instanceof Error || reached === 0) return this.#takeBack(lane, calls, replies)
    for (const [index, { members }] of calls.entries()) settle(members, replies[index])
    if (replies.some((reply) => isReply(reply, 'MOVED'))) await this.connection.moved()
  }

  /** Writes of one script, in the order in which they came, so many that one call may take them. */
  #calls(writes: readonly Queued[]): SharedCall[] {
    const calls: SharedCall[] = []
    for (const sameTag of this.connection.grouped(writes, ({ key }) => key))
      for (let from = 0; from < sameTag.length; ) {
        const script = (sameTag[from] as Queued).script
        let to = from + 1
        while (to < sameTag.length && to - from < MAX_KEYS && sameTag[to]?.script === script) to++
        const members = sameTag.slice(from, to)
        const keys = members.map(({ key }) => key)
        calls.push({ members, call: { script, keys, args: members.flatMap(({ args }) => args), replies: 'bytes' } })
        from = to
      }
    return calls
  }

  #expectsReplicas(lane: RedisLane): boolean {
    const { sentinels, requireReplica = sentinels.length > 0 } = this.connection.settings
    return requireReplica || lane.replicas.areExpected
  }

  async #takeBack(
    lane: RedisLane,
    calls: readonly SharedCall[],
    replies: readonly (RedisReply | Error)[],
  ): Promise<void> {
    const undone: { key: string; args: readonly (string | number | Uint8Array)[] }[] = []
    const refused: Queued[] = []
    for (const [index, { members }] of calls.entries()) {
      const reply = replies[index]
      const answers = Array.isArray(reply) ? (reply as readonly RedisReply[]) : undefined
      for (const [place, write] of members.entries()) {
        const answer = answers?.[place] ?? null
        if (answers && !write.needsReplica) {
          write.resolve(answer)
          continue
        }
        const args = answers && write.undo(answer)
        if (args) undone.push({ key: write.key, args })
        refused.push(write)
      }
    }
    const calling = this.connection
      .grouped(undone, ({ key }) => key)
      .map((group) => ({
        script: this.undoScript,
        keys: group.map(({ key }) => key),
        args: group.flatMap(({ args }) => args),
      }))
    // Whether or not this comes through: nothing of it is acknowledged. Only then, so that whoever asks for the id next
    // does not find what is about to go.
    if (calling.length > 0) await this.connection.runAll(calling)
    const text = `no replica of ${lane.label} has received it within ${REPLICA_WAIT_MS} ms; see that a replica runs`
    for (const { reject } of refused) reject(new StoreUnavailableError(text))
  }
}

function settle(members: readonly Queued[], reply: RedisReply | Error | undefined): void {
  if (!Array.isArray(reply)) {
    const message = reply instanceof Error ? reply.message : 'an answer that means nothing'
    for (const { reject } of members) reject(new StoreUnavailableError(`Redis refused: ${message}`, { cause: reply }))
    return
  }
  for (const [place, { resolve }] of members.entries()) resolve((reply as readonly RedisReply[])[place] ?? null)
}
