import { Keyspace, type Reply } from './keyspace.ts'
import { LuaScripts } from './lua-scripts.ts'
import type { VirtualTime } from './virtual-time.ts'

/** What one command costs Redis, measured: docs/scaling.md, measured. */
const COMMAND_US = 15
const SCRIPT_US = 25
/** Each further key of a script. */
const KEY_US = 15
const RUN_ID = '0'.repeat(40)

/** A Redis server in virtual time: it takes commands one after the other, each takes a while. */
export class SimulatedRedis {
  readonly keyspace = new Keyspace()
  readonly #scripts = new LuaScripts((name, args) => this.#execute(name, args))
  readonly #time: VirtualTime
  #busyUntilUs = 0
  /** Commands as nodes send them; what scripts do is not counted. */
  commands = 0
  busyUs = 0
  longestQueueMs = 0

  constructor(time: VirtualTime) {
    this.#time = time
  }

  /** @returns the reply, and when it is ready */
  take(name: string, args: readonly string[]): { readonly reply: Reply; readonly readyMs: number } {
    this.commands++
    const beginUs = Math.max(this.#busyUntilUs, this.#time.nowMs * 1000)
    const isScript = name === 'EVAL' || name === 'EVALSHA'
    const costUs = isScript ? SCRIPT_US + KEY_US * (Number(args[1]) - 1) : COMMAND_US
    this.#busyUntilUs = beginUs + costUs
    this.busyUs += costUs
    this.longestQueueMs = Math.max(this.longestQueueMs, this.#busyUntilUs / 1000 - this.#time.nowMs)
    this.keyspace.nowMs = this.#time.unixMs - this.#time.nowMs + Math.floor(beginUs / 1000)
    const reply = isScript ? this.#script(name, args) : this.#execute(name, args)
    return { reply, readyMs: Math.ceil(this.#busyUntilUs / 1000) }
  }

  #execute(name: string, args: readonly string[]): Reply {
    if (name === 'TIME') return this.#timeReply()
    if (name === 'INFO') return INFO
    try {
      const reply = this.keyspace.execute(name, args)
      return reply === undefined ? { err: `ERR unknown command '${name}'` } : reply
    } catch (error) {
      return { err: (error as Error).message }
    }
  }

  /** With a fraction, since Lua's integers have 32 bits here. */
  #timeReply(): Reply {
    const us = Math.floor(this.#busyUntilUs % 1000)
    const ms = this.keyspace.nowMs
    return [`${Math.floor(ms / 1000)}.0`, `${(ms % 1000) * 1000 + us}.0`]
  }

  #script(name: string, [body = '', count = '0', ...rest]: readonly string[]): Reply {
    if (name === 'EVALSHA' && !this.#scripts.has(body)) return { err: 'NOSCRIPT No matching script.' }
    const sha1 = name === 'EVAL' ? this.#scripts.load(body) : body
    const keys = Number(count)
    return this.#scripts.run(sha1, rest.slice(0, keys), rest.slice(keys))
  }
}

const INFO = [
  ...['redis_version:7.0.15', `run_id:${RUN_ID}`, `master_replid:${RUN_ID}`, 'role:master', 'connected_slaves:0'],
  ...['aof_enabled:1', 'maxmemory_policy:noeviction', 'maxmemory:0', 'cluster_enabled:0'],
].join('\r\n')
