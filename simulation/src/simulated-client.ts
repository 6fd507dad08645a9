import { EventEmitter } from 'node:events'
import { type Command, type Redis, ReplyError } from 'ioredis'
import type { Reply } from './keyspace.ts'
import type { SimulatedRedis } from './simulated-redis.ts'
import type { VirtualTime } from './virtual-time.ts'

type ClientReply = string | Buffer | number | null | Error | ClientReply[]

interface Sent {
  readonly command: Command
  readonly resolve: (reply: unknown) => void
  readonly reject: (error: Error) => void
}

const RECONNECT_AFTER_MS = 50

/** What a node sees of Redis: ioredis as far as RedisLane uses it, with a network in between. */
export class SimulatedClient extends EventEmitter {
  status: 'wait' | 'ready' | 'end' = 'wait'
  readonly stream = { localAddress: '192.0.2.1' }
  readonly #redis: SimulatedRedis
  readonly #time: VirtualTime
  readonly #latencyMs: number
  readonly #mayPass: () => boolean
  /** What leaves in one millisecond arrives together. */
  #leaving: Sent[] = []
  #leavingMs = -1

  /** @param mayPass false: the node is gone, and nothing reaches anybody any more */
  constructor(redis: SimulatedRedis, time: VirtualTime, latencyMs: number, mayPass: () => boolean) {
    super()
    this.#redis = redis
    this.#time = time
    this.#latencyMs = latencyMs
    this.#mayPass = mayPass
  }

  asRedis(): Redis {
    return this as unknown as Redis
  }

  async connect(): Promise<void> {
    this.#time.after(2 * this.#latencyMs, () => {
      if (!this.#mayPass() || this.status === 'end') return
      this.status = 'ready'
      this.emit('connect')
      this.emit('ready')
    })
  }

  disconnect(isToReconnect = false): void {
    this.status = 'end'
    this.emit('close')
    if (isToReconnect) this.#time.after(RECONNECT_AFTER_MS, () => this.#reconnect())
  }

  #reconnect(): void {
    this.status = 'wait'
    this.connect()
  }

  sendCommand(command: Command): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { nowMs } = this.#time
      if (this.#leavingMs !== nowMs) {
        const leaving: Sent[] = []
        this.#leaving = leaving
        this.#leavingMs = nowMs
        this.#time.after(this.#latencyMs, () => this.#arrive(leaving))
      }
      this.#leaving.push({ command, resolve, reject })
    })
  }

  #arrive(sent: readonly Sent[]): void {
    if (!this.#mayPass() || this.status === 'end') return
    let readyMs = this.#time.nowMs
    const replies = sent.map(({ command }) => {
      const taken = this.#redis.take(command.name.toUpperCase(), (command.args as unknown[]).map(asText))
      readyMs = taken.readyMs
      return toClient(taken.reply, isBinary(command))
    })
    this.#time.after(readyMs - this.#time.nowMs + this.#latencyMs, () => {
      if (!this.#mayPass() || this.status === 'end') return
      for (const [index, { resolve, reject }] of sent.entries()) {
        const reply = replies[index]
        if (reply instanceof Error) reject(reply)
        else resolve(reply)
      }
    })
  }
}

function isBinary(command: Command): boolean {
  return (command as unknown as { replyEncoding: string | null }).replyEncoding === null
}

function asText(arg: unknown): string {
  return Buffer.isBuffer(arg) ? arg.toString('latin1') : String(arg)
}

function toClient(reply: Reply, binary: boolean): ClientReply {
  if (typeof reply === 'string') return binary ? Buffer.from(reply, 'latin1') : reply
  if (typeof reply === 'number' || reply === null) return reply
  if ('ok' in reply) return reply.ok
  if ('err' in reply) return Object.assign(new ReplyError(reply.err), { message: reply.err })
  return reply.map((item) => toClient(item, binary))
}
