import { randomBytes } from 'node:crypto'
import { StoreUnavailableError } from '@tryst/rendezvous'
import { Command, type Redis } from 'ioredis'
import { type PrimaryInfo, readInfo } from './primary-info.ts'
import { type ClockSample, RedisClock, timeReplyMs } from './redis-clock.ts'
import { ReplicaWatch } from './replica-watch.ts'

/** A command as it is sent. Answers are texts, or byte arrays where `replies` says so. */
export interface RedisCommand {
  readonly name: string
  readonly args: readonly (string | number | Uint8Array)[]
  readonly replies?: 'text' | 'bytes'
  /** What the node lives by finds room in a full queue; there is one of it at a time. */
  readonly isVital?: boolean
}

/** What Redis answered: text, bytes, number, null, or a list of these. */
export type RedisReply = string | Buffer | number | null | readonly RedisReply[]

export type LaneState = 'connecting' | 'up' | 'stalled' | 'closed'

export interface LaneParts {
  readonly redis: Redis
  /** For messages: what this is the connection to. */
  readonly label: string
  readonly commandTimeoutMs: number
  readonly maxQueued: number
  /** As in RedisSettings. */
  readonly lookIntervalMs?: number | undefined
  readonly replicasRemovedAfterMs?: number | undefined
  /** Undefined where the epoch lies on another primary. */
  readonly epochKey: string | undefined
  readonly counters: LaneCounters
  readonly isCluster: boolean
  readonly onUp: (probe: Probe) => void
  readonly onAway: (reason: string) => void
}

export interface LaneCounters {
  commands: number
  timeouts: number
  refusedQueueFull: number
  refusedAway: number
}

export interface Probe {
  readonly info: PrimaryInfo
  readonly epoch: string | undefined
}

const TIMEOUTS_TO_STALL = 2
const CLOCK_SAMPLES = 5
const WATCH_INTERVAL_MS = 250
/** A connection on which nothing is answered for so long is made anew. */
const SILENCE_LIMIT_MS = 3_000
/** How often a primary that is up is asked for its replicas and its clock. */
const LOOK_INTERVAL_MS = 15_000

const NOT_PRIMARY = 'it is a replica, not the primary; name the primary, or the Sentinels in REDIS_SENTINELS'
const IS_CLUSTER = 'it belongs to a Redis Cluster; name some of its nodes in REDIS_CLUSTER'
const NO_CLUSTER = 'it does not belong to a Redis Cluster; unset REDIS_CLUSTER'

/** Answers that mean: this server can't serve now, whatever is asked. */
const NOT_SERVING = /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN)/

/**
 * One connection to one primary. A command is sent at once or refused; nothing is kept for later and nothing is sent
 * twice. After two timeouts in a row only a PING is sent until it is answered.
 */
export class RedisLane {
  readonly #parts: LaneParts
  #state: LaneState = 'connecting'
  #queued = 0
  #timeoutsInRow = 0
  #probing = false
  #waitingSinceMs = performance.now()
  #lookedAtMs = performance.now()
  #lastError = 'not connected yet'
  readonly #watch: NodeJS.Timeout
  /** Scripts that this primary has been sent on this connection; with their hash it is enough to name them. */
  readonly scripts = new Set<string>()
  /** What this primary's clock shows. */
  readonly clock = new RedisClock()
  info: PrimaryInfo | undefined
  /** What this primary acknowledges alone may be lost with it. */
  readonly replicas: ReplicaWatch

  constructor(parts: LaneParts) {
    this.#parts = parts
    const { redis } = parts
    this.replicas = new ReplicaWatch(parts.replicasRemovedAfterMs)
    redis.on('error', (error) => this.#noteError(error))
    redis.on('connect', () => this.#touch())
    redis.on('ready', () => this.#probe())
    redis.on('close', () => this.#away())
    this.#watch = setInterval(() => this.#watchProgress(), WATCH_INTERVAL_MS)
    this.#watch.unref()
  }

  get state(): LaneState {
    return this.#state
  }

  get queued(): number {
    return this.#queued
  }

  get lastError(): string {
    return this.#lastError
  }

  get label(): string {
    return this.#parts.label
  }

  /** This process' address on the connection. */
  get localAddress(): string | undefined {
    return (this.#parts.redis as unknown as { stream?: { localAddress?: string } }).stream?.localAddress
  }

  /** The primary that the connection leads to, `host:port`. */
  get remoteAddress(): string | undefined {
    const { stream } = this.#parts.redis as unknown as { stream?: { remoteAddress?: string; remotePort?: number } }
    return stream?.remoteAddress === undefined ? undefined : `${stream.remoteAddress}:${stream.remotePort}`
  }

  /**
   * Sends commands in one go. Error replies come in the place of answers; everything else that fails is a
   * StoreUnavailableError for all of them.
   */
  send(commands: readonly RedisCommand[], timeoutMs = this.#parts.commandTimeoutMs): Promise<(RedisReply | Error)[]> {
    const { maxQueued, counters, label } = this.#parts
    if (this.#state !== 'up') {
      counters.refusedAway += commands.length
      return Promise.reject(new StoreUnavailableError(`${label} is away: ${this.#lastError}`))
    }
    if (this.#queued + commands.length > maxQueued && !commands.every(({ isVital }) => isVital)) {
      counters.refusedQueueFull += commands.length
      return Promise.reject(new StoreUnavailableError(`${label} has ${this.#queued} commands to answer already`))
    }
    return this.#exchange(commands, timeoutMs)
  }

  #exchange(commands: readonly RedisCommand[], timeoutMs: number): Promise<(RedisReply | Error)[]> {
    const { counters, label } = this.#parts
    counters.commands += commands.length
    this.#queued += commands.length
    const replies = this.#write(commands)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        counters.timeouts++
        this.#timedOut()
        reject(new StoreUnavailableError(`${label} has not answered within ${timeoutMs} ms`))
      }, timeoutMs)
      replies.then((answers) => {
        clearTimeout(timer)
        this.#queued -= commands.length
        const broken = answers.find((answer) => answer instanceof Error && answer.name !== 'ReplyError')
        if (broken instanceof Error)
          return reject(new StoreUnavailableError(`${label}: ${broken.message}`, { cause: broken }))
        this.#timeoutsInRow = 0
        for (const answer of answers) if (answer instanceof Error) this.#noteReplyError(answer)
        resolve(answers)
      })
    })
  }

  #write(commands: readonly RedisCommand[]): Promise<(RedisReply | Error)[]> {
    const { redis } = this.#parts
    return Promise.all(
      commands.map(async ({ name, args, replies }) => {
        // Node's streams want Buffers; the memory stays the same.
        const sent = args.map((arg) => (arg instanceof Uint8Array && !Buffer.isBuffer(arg) ? asBuffer(arg) : arg))
        const command = new Command(name, sent as (string | Buffer | number)[], {
          replyEncoding: replies === 'bytes' ? null : 'utf8',
        })
        try {
          return (await redis.sendCommand(command)) as RedisReply
        } catch (error) {
          return error instanceof Error ? error : new Error(String(error))
        }
      }),
    )
  }

  #timedOut(): void {
    this.#timeoutsInRow++
    if (this.#timeoutsInRow < TIMEOUTS_TO_STALL || this.#state !== 'up') return
    this.#lastError = 'it does not answer'
    this.#leaveUp('stalled')
    this.#probe()
  }

  #noteReplyError(error: Error): void {
    if (!NOT_SERVING.test(error.message) || this.#state !== 'up') return
    this.#lastError = error.message
    this.#leaveUp('connecting')
    // With Sentinels the new connection goes to the new primary.
    this.#parts.redis.disconnect(true)
  }

  #noteError(error: Error): void {
    this.#lastError = error.message
  }

  #touch(): void {
    this.#waitingSinceMs = performance.now()
  }

  /** A PING first: while it is not answered, nothing else is sent. */
  async #probe(): Promise<void> {
    if (this.#probing || this.#state === 'closed') return
    this.#probing = true
    this.#touch()
    try {
      await this.#ask('PING')
      const info = readInfo(String(await this.#ask('INFO')))
      this.clock.learn(await this.#askTime())
      if (info.role !== 'master') throw new Error(NOT_PRIMARY)
      if (info.isCluster !== this.#parts.isCluster) throw new Error(info.isCluster ? IS_CLUSTER : NO_CLUSTER)
      const epoch = await this.#askEpoch()
      this.#becomeUp({ info, epoch })
    } catch (error) {
      this.#lastError = error instanceof Error ? error.message : String(error)
      if (this.#parts.redis.status === 'ready' && !this.#isClosed()) this.#parts.redis.disconnect(true)
    } finally {
      this.#probing = false
    }
  }

  async #ask(name: string, ...args: string[]): Promise<RedisReply> {
    const [reply] = await this.#write([{ name, args }])
    if (reply instanceof Error) throw reply
    return reply ?? null
  }

  async #askTime(): Promise<ClockSample[]> {
    const samples: ClockSample[] = []
    for (let sample = 0; sample < CLOCK_SAMPLES; sample++) {
      const sentMs = performance.now()
      const redisMs = timeReplyMs(await this.#ask('TIME'))
      samples.push({ sentMs, receivedMs: performance.now(), redisMs })
    }
    return samples
  }

  /** The epoch that stands; drawn now where there is none. */
  async #askEpoch(): Promise<string | undefined> {
    const { epochKey } = this.#parts
    if (epochKey === undefined) return undefined
    // A primary that may not write now can still be read from.
    const standing = await this.#ask('GET', epochKey)
    if (standing !== null) return String(standing)
    const drawn = randomBytes(16).toString('hex')
    const before = await this.#ask('SET', epochKey, drawn, 'NX', 'GET')
    return before === null ? drawn : String(before)
  }

  #becomeUp(probe: Probe): void {
    if (this.#isClosed()) return
    this.info = probe.info
    this.replicas.told(probe.info.replicas)
    this.#timeoutsInRow = 0
    this.#lookedAtMs = performance.now()
    this.#state = 'up'
    this.#lastError = ''
    this.#parts.onUp(probe)
  }

  #away(): void {
    this.scripts.clear()
    this.#touch()
    if (this.#lastError === '') this.#lastError = 'the connection was closed'
    this.#leaveUp('connecting')
  }

  #leaveUp(next: 'connecting' | 'stalled'): void {
    const before = this.#state
    if (before === 'closed') return
    this.#state = next
    this.replicas.lost()
    if (before === 'up') this.#parts.onAway(this.#lastError)
  }

  #watchProgress(): void {
    if (this.#isClosed()) return
    if (this.#state === 'up') {
      if (performance.now() - this.#lookedAtMs > (this.#parts.lookIntervalMs ?? LOOK_INTERVAL_MS))
        this.#look().catch(() => {})
      return
    }
    const { redis } = this.#parts
    // ioredis gives up for good when its watch for failovers speaks up while it connects.
    if (redis.status === 'end') {
      redis.connect().catch(() => {})
      return
    }
    if (performance.now() - this.#waitingSinceMs < SILENCE_LIMIT_MS) return
    this.#touch()
    if (redis.status === 'connect' || redis.status === 'ready') redis.disconnect(true)
  }

  /** Replicas may have come since the connection was made, and clocks drift. */
  async #look(): Promise<void> {
    this.#lookedAtMs = performance.now()
    const [text, time] = await this.send([
      { name: 'INFO', args: ['replication'] },
      { name: 'TIME', args: [] },
    ])
    const receivedMs = performance.now()
    if (!(time instanceof Error))
      this.clock.learn([{ sentMs: this.#lookedAtMs, receivedMs, redisMs: timeReplyMs(time) }])
    if (typeof text !== 'string' || !this.info || this.#state !== 'up') return
    const { role, replicas, replicationId } = readInfo(text)
    this.replicas.told(replicas)
    if (role !== 'master') {
      this.#lastError = NOT_PRIMARY
      this.#leaveUp('connecting')
      this.#parts.redis.disconnect(true)
    } else if (replicationId !== this.info.replicationId)
      this.#becomeUp({ info: { ...this.info, replicationId, replicas }, epoch: undefined })
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  close(): void {
    if (this.#isClosed()) return
    this.#state = 'closed'
    clearInterval(this.#watch)
    this.#parts.redis.disconnect()
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
