import { StoreUnavailableError } from '@tryst/rendezvous'
import type { Logger } from '@tryst/service'
import {
  checkRedis,
  RedisConnection,
  type RedisProblem,
  type RedisSettings,
  RedisUnreachableError,
} from '@tryst/state-redis'

/** The shared state cannot be used; the message says why, and what to do. */
export class SharedStateError extends Error {
  override readonly name = 'SharedStateError'
}

/** What an operator is told when Redis goes away while a node starts; other errors stay as they are. */
export function sharedStateError(error: unknown): unknown {
  const isAway = error instanceof StoreUnavailableError || error instanceof RedisUnreachableError
  return isAway ? new SharedStateError(`${error.message}; start again when Redis can be used`) : error
}

/** A node that starts together with its Redis waits for it. */
const ATTEMPTS = 6

/**
 * Connects to Redis and looks whether it is fit: what only may go wrong is warned about.
 *
 * @throws SharedStateError when it can't be reached within a minute, or would lose what it is told
 */
export async function openRedis(
  settings: RedisSettings,
  { publicKey, log }: { readonly publicKey: Uint8Array; readonly log: Logger },
): Promise<{ readonly connection: RedisConnection; readonly warnings: readonly RedisProblem[] }> {
  const connection = await connect(settings, log)
  const problems = await checkRedis(connection, { publicKey }).catch((error: unknown) => {
    connection.close()
    throw sharedStateError(error)
  })
  for (const { severity, text } of problems) if (severity === 'warning') log.warn(text)
  const errors = problems.filter(({ severity }) => severity === 'error').map(({ text }) => text)
  if (errors.length === 0) return { connection, warnings: problems }
  connection.close()
  throw new SharedStateError(errors.join('\n'))
}

async function connect(settings: RedisSettings, log: Logger): Promise<RedisConnection> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await RedisConnection.open(settings)
    } catch (error) {
      if (!(error instanceof RedisUnreachableError)) throw error
      if (attempt === ATTEMPTS) throw new SharedStateError(`${error.message}; see REDIS_URL, and whether Redis runs`)
      log.warn(`${error.message}; trying again`)
    }
  }
}
