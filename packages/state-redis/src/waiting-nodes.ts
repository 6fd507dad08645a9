import { mangleAddress, unmangleAddress } from '@tryst/protocol'
import type { NodeId } from '@tryst/rendezvous'
import type { RedisConnection } from './redis-connection.ts'
import { defineScript } from './redis-script.ts'

/** An initiator waits no longer than this after its last request (docs/protocol.md, limits). */
export const WAITING_LIFETIME_MS = 40_000
/** What was written for an address is good for those who come a little later, for as long as they wait. */
const WRITTEN_AGAIN_AFTER_MS = 20_000
const RECORD_LIFETIME_MS = WAITING_LIFETIME_MS + WRITTEN_AGAIN_AFTER_MS
const MAX_REMEMBERED = 20_000

/** KEYS: the nodes of an address. ARGV: node, lifetime ms. */
const WAIT_HERE = defineScript(
  'wait-here',
  `
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now_ms))
redis.call('ZADD', KEYS[1], string.format('%.0f', now_ms + ARGV[3]), ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 'OK'
`,
)

/** On which nodes initiators wait, by the address that they are seen from. */
export class WaitingNodes {
  readonly #connection: RedisConnection
  readonly #incarnation: NodeId
  /** When each address was written (performance.now()), oldest first. */
  readonly #written = new Map<string, number>()
  readonly #writing = new Map<string, Promise<void>>()

  constructor(connection: RedisConnection, incarnation: NodeId) {
    this.#connection = connection
    this.#incarnation = incarnation
  }

  /** Undefined: it is known already that initiators from there wait here. */
  add(ip: string): Promise<void> | undefined {
    const address = plain(ip)
    const writtenMs = this.#written.get(address)
    if (writtenMs !== undefined && performance.now() - writtenMs < WRITTEN_AGAIN_AFTER_MS) return undefined
    const writing = this.#writing.get(address) ?? this.#write(address).finally(() => this.#writing.delete(address))
    this.#writing.set(address, writing)
    return writing
  }

  /** Nodes where somebody from this address may wait. */
  async nodesFor(ip: string): Promise<readonly NodeId[]> {
    const key = this.#connection.keys.waiting(plain(ip))
    const nowMs = Math.floor(this.#connection.nowMs())
    return (await this.#connection.command({
      key,
      name: 'ZRANGEBYSCORE',
      args: [key, nowMs, '+inf'],
    })) as string[] as NodeId[]
  }

  /** After a loss of data: whoever still waits is written anew. */
  rewrite(): void {
    const nowMs = performance.now()
    for (const [address, writtenMs] of [...this.#written]) {
      this.#written.delete(address)
      if (nowMs - writtenMs < RECORD_LIFETIME_MS) this.add(address)?.catch(() => {})
    }
  }

  async #write(address: string): Promise<void> {
    const sentMs = performance.now()
    const key = this.#connection.keys.waiting(address)
    await this.#connection.run({ script: WAIT_HERE, keys: [key], args: [this.#incarnation, RECORD_LIFETIME_MS] })
    this.#written.delete(address)
    this.#written.set(address, sentMs)
    for (const oldest of this.#written.keys()) {
      if (this.#written.size <= MAX_REMEMBERED) break
      this.#written.delete(oldest)
    }
  }
}

/** The form that an address has when it comes out of a handle. */
function plain(ip: string): string {
  return unmangleAddress(mangleAddress({ ip, port: 1 }, 0)).ip
}
