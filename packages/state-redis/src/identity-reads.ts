import { StoreUnavailableError } from '@tryst/rendezvous'
import { IDENTITY_FIELDS } from './identity-record.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { RedisReply } from './redis-lane.ts'

interface Reading {
  readonly key: string
  resolve(reply: RedisReply): void
  reject(error: Error): void
}

const MAX_WAITING = 20_000
const PIPELINE = 500

/** Look-ups of one turn of the event loop are one pipeline for each primary. */
export class IdentityReads {
  #waiting: Reading[] = []

  constructor(private readonly connection: RedisConnection) {}

  async read(key: string): Promise<RedisReply> {
    if (this.#waiting.length >= MAX_WAITING) throw new StoreUnavailableError('too many look-ups wait for Redis')
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#flush())
      this.#waiting.push({ key, resolve, reject })
    })
  }

  #flush(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (let from = 0; from < waiting.length; from += PIPELINE) this.#send(waiting.slice(from, from + PIPELINE))
  }

  async #send(readings: readonly Reading[]): Promise<void> {
    const replies = await this.connection.pipelined(
      readings.map(({ key }) => ({ key, name: 'HMGET', args: [key, ...IDENTITY_FIELDS], replies: 'bytes' })),
    )
    for (const [index, { resolve, reject }] of readings.entries()) {
      const reply = replies[index]
      if (reply instanceof Error) reject(reply)
      else resolve(reply ?? null)
    }
  }
}
