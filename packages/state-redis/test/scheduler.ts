import { StoreUnavailableError } from '@tryst/rendezvous'
import type { RedisConnection, RedisEvent, ScriptCall } from '../src/index.ts'
import { RENEW_LEASE } from '../src/lease-scripts.ts'

export type Verdict = 'pass' | 'fail'

/** Where everything that nodes say to Redis and to one another waits until a test lets it go on. */
export class Gates {
  readonly #waiting: ((verdict: Verdict) => void)[] = []
  /** Commands that Redis is working on. */
  busy = 0
  isOpen = false

  get waiting(): number {
    return this.#waiting.length
  }

  async enter(): Promise<void> {
    if (this.isOpen) return
    const verdict = await new Promise<Verdict>((resolve) => this.#waiting.push(resolve))
    if (verdict === 'fail') throw new StoreUnavailableError('the scheduler says so')
  }

  /** Lets one go on, or fail, and waits for what comes of it. */
  async release(index: number, verdict: Verdict): Promise<void> {
    const [resolve] = this.#waiting.splice(index % Math.max(1, this.#waiting.length), 1)
    resolve?.(verdict)
    await this.quiet()
  }

  /** Resolves when nothing moves but what waits at a gate. */
  async quiet(): Promise<void> {
    for (let calm = 0; calm < 3; calm++) {
      await new Promise((resolve) => setImmediate(resolve))
      if (this.busy > 0) calm = -1
    }
  }
}

/** A connection whose scripts wait at the gates, once before they are sent and once before their answer is known. */
export function gated(connection: RedisConnection, gates: Gates) {
  const listeners = new Set<(event: RedisEvent) => void>()

  async function through<T>(work: () => Promise<T>): Promise<T> {
    await gates.enter()
    gates.busy++
    const reply = await work().finally(() => gates.busy--)
    await gates.enter()
    return reply
  }

  const changed: Partial<Record<PropertyKey, unknown>> = {
    run: (call: ScriptCall) =>
      call.script === RENEW_LEASE ? connection.run(call) : through(() => connection.run(call)),
    runAll: (calls: ScriptCall[]) => through(() => connection.runAll(calls)),
    onChange: (listener: (event: RedisEvent) => void) => {
      listeners.add(listener)
      return connection.onChange(listener)
    },
  }
  const proxy = new Proxy(connection, {
    get(target, name) {
      if (name in changed) return changed[name]
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  /** As if the connection had noticed it. */
  const emit = (event: RedisEvent) => {
    for (const listener of listeners) listener(event)
  }
  return { connection: proxy, emit }
}
