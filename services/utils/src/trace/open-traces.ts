import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { TraceStore } from '@tryst/rendezvous'
import { parseDeviceToolConfig, redisPlace } from '@tryst/service'
import { RedisTraceStore } from '@tryst/state-redis'
import { SqliteTraceStore, traceFile } from '@tryst/state-sqlite'
import { readIfThere } from '../data-folder.ts'
import { serverFolder } from '../devices/open-administration.ts'
import { openSharedRedis, type Surroundings, UsageError } from '../shared-redis.ts'

export interface OpenTracesInput extends Surroundings {
  /** The server's working directory; undefined: the one that looks like it. */
  readonly folder: string | undefined
  readonly redisFlags: ReadonlyMap<string, string>
}

/** Nothing is written here. */
const KEPT_BY_THE_SERVER = Number.POSITIVE_INFINITY

/**
 * Where attempts have been written down: Redis where the settings name one, and the file in the folder where there is
 * one, which a server may just be writing.
 *
 * @throws UsageError, ConfigError, RedisUnreachableError
 */
export async function openTraces(input: OpenTracesInput): Promise<readonly TraceStore[]> {
  const { env, redisFlags } = input
  const folder = serverFolder(input)
  const config = parseDeviceToolConfig(redisFlags, { env, cwd: folder, readFile: readIfThere })
  const database = resolve(folder, config.dbPath)
  const file = traceFile(database)
  const stores: TraceStore[] = []
  if (redisPlace(config)) {
    const connection = await openSharedRedis(redisFlags, { env, cwd: folder }, 'leave')
    const store = new RedisTraceStore(connection, KEPT_BY_THE_SERVER)
    stores.push({
      write: (parts) => store.write(parts),
      read: () => store.read(),
      close: async () => connection.close(),
    })
  }
  if (redisFlags.size === 0 && (existsSync(file) || existsSync(database)))
    stores.push(new SqliteTraceStore(file, KEPT_BY_THE_SERVER))
  if (stores.length === 0)
    throw new UsageError(
      `there is no ${file}, and no setting says where Redis is: run the command in the folder of the server, name it ` +
        'with --folder, or say where Redis is with --redis-url',
    )
  return stores
}
