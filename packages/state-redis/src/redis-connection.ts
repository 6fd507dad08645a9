import { StoreUnavailableError } from '@tryst/rendezvous'
import { ClusterShards } from './cluster-shards.ts'
import { RedisKeys } from './keys.ts'
import type { LaneCounters, Probe, RedisCommand, RedisLane, RedisReply } from './redis-lane.ts'
import { LATE, type RedisScript } from './redis-script.ts'
import { DEFAULT_COMMAND_TIMEOUT_MS, DEFAULT_MAX_QUEUED_COMMANDS, type RedisSettings } from './settings.ts'
import { type LaneHandlers, openLane, type Shards, SingleShard } from './shards.ts'
import { explain } from './unreachable.ts'

/** A command and the key that says which primary it goes to. */
export interface KeyedCommand extends RedisCommand {
  readonly key: string
}

export interface ScriptCall {
  readonly script: RedisScript
  /** All of one hash tag. At least one. */
  readonly keys: readonly string[]
  readonly args: readonly (string | number | Uint8Array)[]
  readonly replies?: 'text' | 'bytes'
  /** As in RedisCommand. */
  readonly isVital?: boolean
}

/** `up` comes after each (re)connect, in a Cluster that of any primary: write back what may be missing there. */
export type RedisEvent =
  | { readonly kind: 'up'; readonly isFirst: boolean }
  | { readonly kind: 'away'; readonly reason: string }
  | { readonly kind: 'lost-data-suspected'; readonly reason: string }

export class RedisUnreachableError extends Error {
  override readonly name = 'RedisUnreachableError'
}

export interface RedisOpenOptions {
  /** What Redis calls the connection. */
  readonly label?: string
  readonly timeoutMs?: number
  /** `leave`: whoever only looks writes nothing, not even the epoch that is missing. Default `draw`. */
  readonly epoch?: 'draw' | 'leave'
}

/** Between a script's deadline and the moment we give it up: for the answer's way and the error of the clocks. */
const DEADLINE_MARGIN_MS = 20
const DEFAULT_OPEN_TIMEOUT_MS = 10_000
const REDIS_LABEL = 'tryst'

interface KnownServer {
  readonly runId: string
  readonly replicationId: string
}

/**
 * The way to the shared store: one server, the primary that Sentinels name, or the primaries of a Cluster. A command is
 * sent once or refused; whatever fails is a StoreUnavailableError, and a script that was given up does nothing later.
 */
export class RedisConnection {
  readonly settings: RedisSettings
  readonly keys: RedisKeys
  readonly counters: LaneCounters = { commands: 0, timeouts: 0, refusedQueueFull: 0, refusedAway: 0 }
  readonly #shards: Shards
  /** How long a command may take. */
  readonly timeoutMs: number
  readonly #listeners = new Set<(event: RedisEvent) => void>()
  readonly #known = new Map<RedisLane, KnownServer>()
  #epoch: string | undefined
  #hasBeenUp = false
  #isClosed = false

  private constructor(settings: RedisSettings, label: string, epoch: 'draw' | 'leave') {
    this.settings = settings
    this.keys = new RedisKeys(settings.prefix)
    this.timeoutMs = settings.commandTimeoutMs ?? DEFAULT_COMMAND_TIMEOUT_MS
    const limits = {
      commandTimeoutMs: this.timeoutMs,
      maxQueued: settings.maxQueuedCommands ?? DEFAULT_MAX_QUEUED_COMMANDS,
    }
    const handlers: LaneHandlers = {
      counters: this.counters,
      epochKey: epoch === 'draw' ? this.keys.epoch() : undefined,
      onUp: (lane, probe) => this.#laneUp(lane, probe),
      onAway: (lane, reason) => this.#laneAway(lane, reason),
      onFailover: () => this.suspectLoss('slots have gone to another server of the Cluster'),
    }
    this.#shards =
      settings.cluster.length === 0
        ? new SingleShard(openLane(settings, label, handlers, limits))
        : new ClusterShards(settings, label, this.keys.epoch(), {
            openLane: (at, holdsEpoch) =>
              openLane(
                settings,
                label,
                { ...handlers, epochKey: holdsEpoch ? handlers.epochKey : undefined },
                limits,
                at,
              ),
            onFailover: handlers.onFailover,
          })
  }

  /** Resolves when Redis answers; throws RedisUnreachableError, which says why not, when it does not in time. */
  static async open(
    settings: RedisSettings,
    { label = REDIS_LABEL, timeoutMs = DEFAULT_OPEN_TIMEOUT_MS, epoch = 'draw' }: RedisOpenOptions = {},
  ): Promise<RedisConnection> {
    const connection = new RedisConnection(settings, label, epoch)
    const isReady = () => connection.state === 'up' && connection.#shards.lanes().every(({ state }) => state === 'up')
    if (!isReady())
      await new Promise<void>((resolve, reject) => {
        const stop = connection.onChange(() => isReady() && finish(resolve))
        const timer = setTimeout(() => {
          const { reason } = connection
          connection.close()
          finish(() => reject(new RedisUnreachableError(explain(reason, settings))))
        }, timeoutMs)
        const finish = (settle: () => void) => {
          clearTimeout(timer)
          stop()
          settle()
        }
      })
    return connection
  }

  /** `away`: whatever is asked now is refused. In a Cluster: the primary that holds the leases is away. */
  get state(): 'up' | 'away' {
    return this.#home?.state === 'up' ? 'up' : 'away'
  }

  /** Why Redis is away, for messages. */
  get reason(): string {
    const { lastError } = this.#shards as { lastError?: string }
    return this.#home?.lastError ?? lastError ?? 'no server is known'
  }

  /** Redis' time now, as far as it can be told from here; in a Cluster that of the primary with the leases. */
  nowMs(): number {
    return this.#home?.clock.nowMs() ?? Date.now()
  }

  /** How far Redis' clock is from this machine's; positive where Redis is ahead. */
  get clockOffsetMs(): number {
    return this.nowMs() - Date.now()
  }

  /** This process' address on the way to Redis. */
  get localAddress(): string | undefined {
    return this.#home?.localAddress
  }

  get primaries(): readonly RedisLane[] {
    return this.#shards.lanes()
  }

  get #home(): RedisLane | undefined {
    return this.#shards.laneFor(this.keys.epoch())
  }

  /** Commands sent but not answered. */
  get queued(): number {
    let queued = 0
    for (const lane of this.#shards.lanes()) queued += lane.queued
    return queued
  }

  /** Calls back on every change; the result ends that. */
  onChange(listener: (event: RedisEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Keys that may go into one call of a script: those of one hash tag in a Cluster, any elsewhere. Sorts `items` into
   * such groups.
   */
  grouped<T>(items: Iterable<T>, keyOf: (item: T) => string): T[][] {
    if (this.settings.cluster.length === 0) {
      const all = [...items]
      return all.length === 0 ? [] : [all]
    }
    const groups = new Map<string, T[]>()
    for (const item of items) {
      const key = keyOf(item)
      const tag = key.slice(key.indexOf('{'), key.indexOf('}') + 1)
      const group = groups.get(tag)
      if (group) group.push(item)
      else groups.set(tag, [item])
    }
    return [...groups.values()]
  }

  /** The connection that leads to a key's primary; throws StoreUnavailableError where none is known. */
  laneFor(key: string): RedisLane {
    const lane = this.#shards.laneFor(key)
    if (!lane) throw new StoreUnavailableError(`Redis is away: ${this.reason}`)
    return lane
  }

  /** Runs one script; its deadline is when we give it up. */
  async run(call: ScriptCall, timeoutMs = this.timeoutMs): Promise<RedisReply> {
    const [reply] = await this.runAll([call], timeoutMs)
    if (reply instanceof Error) throw reply
    return reply ?? null
  }

  /** Runs scripts at once, one pipeline for each primary; answers stand in the order of the calls. */
  async runAll(
    calls: readonly ScriptCall[],
    timeoutMs = this.timeoutMs,
  ): Promise<(RedisReply | StoreUnavailableError)[]> {
    const startedMs = performance.now()
    const deadlines = calls.map(({ keys: [key = ''] }) => this.deadlineIn(timeoutMs, key))
    const replies = await this.#pipelined(
      calls.map((call, index) => scriptCommand(call, deadlines[index] ?? 0, this.#shards.laneFor(call.keys[0] ?? ''))),
      timeoutMs,
    )
    const unknown = calls.flatMap((_, index) => (isReply(replies[index], 'NOSCRIPT') ? [index] : []))
    if (unknown.length > 0) {
      const again = await this.#pipelined(
        unknown.map((index) => scriptCommand(calls[index] as ScriptCall, deadlines[index] ?? 0)),
        Math.max(1, timeoutMs - (performance.now() - startedMs)),
      )
      for (const [place, index] of unknown.entries()) replies[index] = again[place] ?? null
    }
    return replies.map(failureOf)
  }

  /** Sends commands at once, one pipeline for each primary; answers stand in the order of the commands. */
  async pipelined(
    commands: readonly KeyedCommand[],
    timeoutMs = this.timeoutMs,
  ): Promise<(RedisReply | StoreUnavailableError)[]> {
    return (await this.#pipelined(commands, timeoutMs)).map(failureOf)
  }

  /** One command. */
  async command(command: KeyedCommand, timeoutMs = this.timeoutMs): Promise<RedisReply> {
    const [reply] = await this.pipelined([command], timeoutMs)
    if (reply instanceof Error) throw reply
    return reply ?? null
  }

  /** For the first argument of a script that is given up after `timeoutMs`: by the clock of the key's primary. */
  deadlineIn(timeoutMs: number, key: string): number {
    const nowMs = this.#shards.laneFor(key)?.clock.nowMs() ?? this.nowMs()
    return Math.floor(nowMs + timeoutMs - DEADLINE_MARGIN_MS)
  }

  /** The epoch that stands in Redis, from a script that reads it anyway. */
  noteEpoch(epoch: string): void {
    if (this.#epoch !== undefined && this.#epoch !== epoch) this.suspectLoss('the epoch is another one')
    this.#epoch = epoch
  }

  /** Something that was acknowledged is missing in Redis. */
  suspectLoss(reason: string): void {
    this.#emit({ kind: 'lost-data-suspected', reason })
  }

  /** A server of a Cluster has said that a key is elsewhere now. */
  moved(): Promise<void> {
    return this.#shards.moved()
  }

  /** Drops what waits for answers. May be called twice. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#shards.close()
    this.#listeners.clear()
  }

  async #pipelined(commands: readonly KeyedCommand[], timeoutMs: number): Promise<(RedisReply | Error)[]> {
    const startedMs = performance.now()
    const replies = await this.#spread(commands, timeoutMs)
    const moved = commands.flatMap((_, index) => (isReply(replies[index], 'MOVED') ? [index] : []))
    if (moved.length === 0) return replies
    // The server has done nothing: this is no second run.
    await this.#shards.moved()
    const again = await this.#spread(
      moved.map((index) => commands[index] as KeyedCommand),
      Math.max(1, timeoutMs - (performance.now() - startedMs)),
    )
    for (const [place, index] of moved.entries()) replies[index] = again[place] ?? null
    return replies
  }

  async #spread(commands: readonly KeyedCommand[], timeoutMs: number): Promise<(RedisReply | Error)[]> {
    const replies: (RedisReply | Error)[] = new Array(commands.length).fill(null)
    const byLane = new Map<RedisLane, number[]>()
    for (const [index, { key }] of commands.entries()) {
      const lane = this.#shards.laneFor(key)
      if (!lane) {
        replies[index] = new StoreUnavailableError(`Redis is away: ${this.reason}`)
        continue
      }
      const indexes = byLane.get(lane)
      if (indexes) indexes.push(index)
      else byLane.set(lane, [index])
    }
    await Promise.all(
      [...byLane].map(async ([lane, indexes]) => {
        try {
          const answers = await lane.send(
            indexes.map((index) => commands[index] as KeyedCommand),
            timeoutMs,
          )
          for (const [place, index] of indexes.entries()) replies[index] = answers[place] ?? null
        } catch (error) {
          for (const index of indexes) replies[index] = error as Error
        }
      }),
    )
    return replies
  }

  #laneUp(lane: RedisLane, { info, epoch }: Probe): void {
    const { runId, replicationId } = info
    const known = this.#known.get(lane)
    this.#known.set(lane, { runId, replicationId })
    const reason =
      known === undefined
        ? undefined
        : known.runId !== runId
          ? 'another Redis server answers, or it was started anew'
          : known.replicationId !== replicationId
            ? 'Redis has another replication id'
            : undefined
    if (reason !== undefined) this.suspectLoss(reason)
    const before = this.#epoch
    if (epoch !== undefined) {
      if (reason === undefined) this.noteEpoch(epoch)
      this.#epoch = epoch
    }
    const isFirst = !this.#hasBeenUp || (before === undefined && known === undefined)
    this.#hasBeenUp = true
    this.#emit({ kind: 'up', isFirst })
  }

  #laneAway(lane: RedisLane, reason: string): void {
    if (lane === this.#home) this.#emit({ kind: 'away', reason })
  }

  #emit(event: RedisEvent): void {
    for (const listener of [...this.#listeners]) listener(event)
  }
}

/** `deadline` is in Redis' time. The script is named only where `lane` has had it before, else sent as a whole. */
export function scriptCommand(
  { script, keys, args, replies = 'text', isVital = false }: ScriptCall,
  deadline: number,
  lane?: RedisLane,
): KeyedCommand {
  const [key] = keys
  if (key === undefined) throw new Error(`the script ${script.name} was called without a key`)
  const isKnown = lane?.scripts.has(script.sha1) ?? false
  lane?.scripts.add(script.sha1)
  const [name, body] = isKnown ? ['EVALSHA', script.sha1] : ['EVAL', script.source]
  return { key, name, args: [body, keys.length, ...keys, deadline, ...args], replies, isVital }
}

/** An error reply of this code. */
export function isReply(reply: RedisReply | Error | undefined, code: string): boolean {
  return reply instanceof Error && reply.message.startsWith(code)
}

function failureOf(reply: RedisReply | Error): RedisReply | StoreUnavailableError {
  if (!(reply instanceof Error) || reply instanceof StoreUnavailableError) return reply
  const message = isReply(reply, LATE) ? 'Redis came to it only after its deadline' : `Redis refused: ${reply.message}`
  return new StoreUnavailableError(message, { cause: reply })
}
