import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import {
  CREATE_IDENTITIES,
  REMOVE_IDENTITIES,
  UPDATE_IDENTITIES,
  WRITE_BACK_IDENTITIES,
} from '../../packages/state-redis/src/identity-scripts.ts'
import { RENEW_LEASE, WITHDRAW_LEASE } from '../../packages/state-redis/src/lease-scripts.ts'
import { CLAIM, RELEASE, RESTORE } from '../../packages/state-redis/src/presence-scripts.ts'
import type { RedisScript } from '../../packages/state-redis/src/redis-script.ts'
import type { Reply } from '../src/keyspace.ts'
import { SeededRandom } from '../src/random.ts'
import { SimulatedRedis } from '../src/simulated-redis.ts'
import { VirtualTime } from '../src/virtual-time.ts'
import { NO_REDIS, RedisProcess } from './redis-process.ts'

jest.setTimeout(120_000)

const SEQUENCES = 30
const STEPS = 80
const BEGIN_S = 1_893_456_000
const NEVER = String(9e12)

interface Step {
  readonly script: RedisScript
  readonly keys: readonly string[]
  readonly args: readonly string[]
}

/** Steps as nodes take them, in any order: two of three nodes, three devices, two relays. */
class Steps {
  readonly #prefix: string
  readonly #random: SeededRandom
  #number = 0

  constructor(prefix: string, seed: number) {
    this.#prefix = prefix
    this.#random = new SeededRandom(seed)
  }

  next(): Step {
    const steps = [this.#claim, this.#release, this.#restore, this.#renew, this.#withdraw, this.#create, this.#update]
    return this.#one([...steps, this.#claim, this.#writeBack, this.#remove]).call(this)
  }

  /** Microseconds until the next step: mostly little, now and then longer than a lease. */
  pauseUs(): number {
    return this.#random.below(10) === 0 ? this.#random.below(12_000_000) : this.#random.below(500_000)
  }

  #one<T>(of: readonly T[]): T {
    return of[this.#random.below(of.length)] as T
  }

  #some<T>(of: readonly T[]): T[] {
    return of.filter(() => this.#random.below(2) === 0)
  }

  #node = () => this.#one(['node-a', 'node-b', 'node-c'])
  #ip = () => this.#one(['192.0.2.1', '192.0.2.2'])
  /** Mostly rising, as a second run of an older step is not. */
  #step = () => `${this.#random.below(4) === 0 ? Math.max(1, this.#number - 2) : ++this.#number}`
  #version = () => `${BEGIN_S * 1e6 + this.#random.below(60_000_000)}`
  #devices = () => ['one', 'two', 'three'].map((id) => `${this.#prefix}:${id}`)
  #identities = () => this.#devices().map((key) => `${key}:peer`)
  #leaseKeys = () => ['l', 'n', 'i', 'rl', 'ri', 'e'].map((name) => `${this.#prefix}:${name}`)

  #claim(): Step {
    return {
      script: CLAIM,
      keys: [this.#one(this.#devices())],
      args: [this.#node(), this.#step(), '3600000', this.#ip(), 'udp'],
    }
  }

  #release(): Step {
    return {
      script: RELEASE,
      keys: [...this.#some(this.#devices()), this.#devices()[0] ?? ''],
      args: [this.#node(), this.#step()],
    }
  }

  #restore(): Step {
    const keys = [...this.#some(this.#devices()), this.#devices()[1] ?? '']
    const rows = keys.flatMap(() => [this.#version(), this.#ip(), 'udp'])
    return { script: RESTORE, keys, args: [this.#node(), this.#step(), '3600000', ...rows] }
  }

  #renew(): Step {
    const node = this.#node()
    const relays = this.#some(['relay-a:1', 'relay-b:1']).flatMap((at) => {
      return [at, '3000', JSON.stringify({ address: at, node, leaseMs: 3000, capacity: 7 })]
    })
    const info = JSON.stringify({ role: 'id-server', name: node })
    return {
      script: RENEW_LEASE,
      keys: this.#leaseKeys(),
      args: [node, '6000', '1000', info, `epoch-${node}`, ...relays],
    }
  }

  #withdraw(): Step {
    return { script: WITHDRAW_LEASE, keys: this.#leaseKeys(), args: [this.#node(), this.#one(['0', '1']), 'relay-a:1'] }
  }

  #identity(): string[] {
    // Not all bytes are text.
    return [
      this.#one(['guid-1\xff\x00', 'guid-2']),
      this.#one(['uuid-1\x80', 'uuid-2']),
      this.#one(['key-1\xc3', 'key-2']),
      this.#ip(),
    ]
  }

  #create(): Step {
    const keys = [this.#one(this.#identities())]
    return { script: CREATE_IDENTITIES, keys, args: this.#identity() }
  }

  #update(): Step {
    const [, uuid = '', key = '', ip = ''] = this.#identity()
    return {
      script: UPDATE_IDENTITIES,
      keys: [this.#one(this.#identities())],
      args: [uuid, key, this.#one(['key-2', key]), ip],
    }
  }

  #remove(): Step {
    return { script: REMOVE_IDENTITIES, keys: [this.#one(this.#identities())], args: [] }
  }

  /** Of an id that was given up: when its hold is over and the new id, or that the change is not complete yet. */
  #mark(): string {
    return this.#one(['', '', `${BEGIN_S * 1e3 + this.#random.below(60_000)}:three`, ':three'])
  }

  #writeBack(): Step {
    const keys = [...this.#some(this.#identities()), this.#identities()[2] ?? '']
    const rows = keys.flatMap(() => [
      ...this.#identity(),
      this.#version(),
      '1893456000000',
      this.#one(['', 'operator']),
      this.#one(['0', '1']),
      this.#mark(),
    ])
    return { script: WRITE_BACK_IDENTITIES, keys, args: rows }
  }
}

/** The script with a time that both servers agree on. */
function atTime(script: RedisScript, us: number): string {
  const [seconds, rest] = [Math.floor(us / 1e6), us % 1e6]
  return script.source.replace("redis.call('TIME')", `{ '${seconds}.0', '${rest}.0' }`)
}

const suite = NO_REDIS === undefined ? describe : describe.skip

suite(`the simulated Redis${NO_REDIS === undefined ? '' : ` (${NO_REDIS})`}`, () => {
  let redis: RedisProcess
  beforeAll(async () => {
    redis = await RedisProcess.start()
  })
  afterAll(() => redis?.stop())

  async function ask(source: string, { keys, args }: Step): Promise<unknown> {
    const bytes = [...keys, NEVER, ...args].map((text) => Buffer.from(text, 'latin1'))
    try {
      return plain(await redis.client.callBuffer('EVAL', source, keys.length, ...bytes))
    } catch (error) {
      return { err: (error as Error).message }
    }
  }

  it('says what a real one says, whatever scripts run in whatever order', async () => {
    for (let seed = 0; seed < SEQUENCES; seed++) {
      const model = new SimulatedRedis(new VirtualTime())
      const steps = new Steps(`run-${seed}`, seed)
      let us = BEGIN_S * 1e6
      for (let count = 0; count < STEPS; count++) {
        const step = steps.next()
        us += steps.pauseUs()
        const source = atTime(step.script, us)
        const { reply } = model.take('EVAL', [source, `${step.keys.length}`, ...step.keys, NEVER, ...step.args])
        const { name } = step.script
        expect({ seed, count, name, step, reply: plain(reply) }).toEqual({
          seed,
          count,
          name,
          step,
          reply: await ask(source, step),
        })
      }
    }
  })
})

/** Replies of both as text. */
function plain(reply: unknown): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString('latin1')
  if (Array.isArray(reply)) return sorted(reply.map(plain))
  const status = reply as Exclude<Reply, string | number | null>
  return typeof reply === 'object' && reply !== null && 'ok' in status ? status.ok : reply
}

/** HGETALL has no order. */
function sorted(items: unknown[]): unknown[] {
  const isTable =
    items.length % 2 === 0 &&
    items.every((item, at) => typeof item === 'string' && (at % 2 === 0 || item.startsWith('{')))
  if (!isTable || items.length === 0) return items
  const rows = items.flatMap((item, at) => (at % 2 === 0 ? [[item, items[at + 1]] as [string, string]] : []))
  return rows.sort(([a], [b]) => (a < b ? -1 : 1)).flat()
}
