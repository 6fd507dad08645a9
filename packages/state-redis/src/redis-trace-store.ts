import { MAX_TRACE_PARTS, type TracePart, type TraceStore } from '@tryst/rendezvous'
import type { RedisConnection } from './redis-connection.ts'
import { defineScript } from './redis-script.ts'

/**
 * Adds parts and lets the oldest go, those beyond the number and those beyond the age.
 *
 * KEYS: trace. ARGV: age in ms, number of parts, then the parts.
 */
export const WRITE_TRACE = defineScript(
  'write-trace',
  `
for at = 4, #ARGV do redis.call('XADD', KEYS[1], '*', 'part', ARGV[at]) end
redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[3])
redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%.0f', math.max(0, now_ms - ARGV[2])))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'OK'
`,
)

/** Entries that are read in one step. */
const PAGE = 500
/** Redis keeps whole nodes of the stream: some more stay than were asked for. */
const MOST_READ = 2 * MAX_TRACE_PARTS

type StreamEntry = readonly [id: string, fields: readonly string[]]

/** What all nodes and relays saw of attempts, in one stream. */
export class RedisTraceStore implements TraceStore {
  /** @param connection stays the caller's */
  constructor(
    private readonly connection: RedisConnection,
    private readonly keepMs: number,
  ) {}

  async write(parts: readonly TracePart[]): Promise<void> {
    if (parts.length === 0) return
    await this.connection.run({
      script: WRITE_TRACE,
      keys: [this.connection.keys.trace()],
      args: [this.keepMs, MAX_TRACE_PARTS, ...parts.map((part) => JSON.stringify(part))],
    })
  }

  async *read(): AsyncGenerator<TracePart> {
    const key = this.connection.keys.trace()
    let end = '+'
    for (let read = 0; read < MOST_READ; ) {
      const args = [key, end, '-', 'COUNT', PAGE]
      const entries = (await this.connection.command({ key, name: 'XREVRANGE', args })) as unknown as StreamEntry[]
      for (const [, fields] of entries) if (fields[1] !== undefined) yield JSON.parse(fields[1]) as TracePart
      const last = entries.at(-1)?.[0]
      if (last === undefined || entries.length < PAGE) return
      read += entries.length
      end = `(${last}`
    }
  }

  async close(): Promise<void> {}
}
