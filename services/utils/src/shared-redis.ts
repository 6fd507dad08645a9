import { parseToolConfig } from '@tryst/service'
import { redisSettings } from '@tryst/shared-node'
import { RedisConnection } from '@tryst/state-redis'
import { readIfThere } from './data-folder.ts'

/** What a command is started with besides its words. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
}

/** Nobody waits for a tool as a client waits for a server. */
const COMMAND_TIMEOUT_MS = 2_000

/** The command was started without what it needs; the message says what. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/**
 * Connects to the Redis that the servers share.
 *
 * @param flags Redis settings on the command line
 * @param epoch whether something will be written
 * @throws UsageError, ConfigError, RedisUnreachableError
 */
export async function openSharedRedis(
  flags: ReadonlyMap<string, string>,
  { env, cwd }: Surroundings,
  epoch: 'draw' | 'leave',
): Promise<RedisConnection> {
  const settings = redisSettings(parseToolConfig(flags, { env, cwd, readFile: readIfThere }))
  if (!settings)
    throw new UsageError(
      'no setting says where Redis is: give --redis-url redis://host:port, or set REDIS_URL (REDIS_SENTINELS, ' +
        'REDIS_CLUSTER) as the servers have it, in the environment or in .env here',
    )
  return await RedisConnection.open(
    { ...settings, commandTimeoutMs: COMMAND_TIMEOUT_MS },
    { label: 'tryst-utils', epoch },
  )
}
