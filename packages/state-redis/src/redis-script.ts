import { createHash } from 'node:crypto'

/** A step that Redis takes as a whole, and only until a deadline. */
export interface RedisScript {
  readonly name: string
  readonly source: string
  readonly sha1: string
}

/** Begins the error reply of a script that came to run after its deadline. */
export const LATE = 'LATE'

// A command that timed out here may still lie in Redis' socket, and runs when Redis goes on.
const DEADLINE = `
local redis_time = redis.call('TIME')
local now_ms = redis_time[1] * 1000 + math.floor(redis_time[2] / 1000)
if now_ms > tonumber(ARGV[1]) then
  return redis.error_reply('${LATE} the deadline of this step has passed')
end
`

/**
 * `body` is Lua. ARGV[1] is the deadline (Redis' time, ms), its own arguments start at ARGV[2]; `now_ms` and
 * `redis_time` (seconds, microseconds) are set. Whatever it does has to be safe against a second run.
 */
export function defineScript(name: string, body: string): RedisScript {
  const source = `-- ${name}\n${DEADLINE}${body}`
  return { name, source, sha1: createHash('sha1').update(source).digest('hex') }
}
