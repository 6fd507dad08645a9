import { existsSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { AdminClient, type Administration } from '@tryst/device-admin'
import { type DeviceToolConfig, parseDeviceToolConfig, redisPlace } from '@tryst/service'
import { readIfThere } from '../data-folder.ts'
import { type Surroundings, UsageError } from '../shared-redis.ts'

export interface OpenAdministrationInput extends Surroundings {
  /** The server's working directory; undefined: the one that looks like it. */
  readonly folder: string | undefined
  readonly redisFlags: ReadonlyMap<string, string>
}

/** Where `npm start` keeps its data. */
const DATA_FOLDER = 'data'

/**
 * The ID server that runs in a folder, where one answers; else its state: Redis where the settings name one, the
 * database where they do not. Redis on the command line is asked without a look at any folder.
 *
 * @throws UsageError, ConfigError, DatabaseOpenError, RedisUnreachableError, AdministrationError
 */
export async function openAdministration(input: OpenAdministrationInput): Promise<Administration> {
  const folder = serverFolder(input)
  const { env, redisFlags } = input
  const config = parseDeviceToolConfig(redisFlags, { env, cwd: folder, readFile: readIfThere })
  if (redisFlags.size === 0 && config.adminSocket !== 'none') {
    const running = new AdminClient(shortest(resolve(folder, config.adminSocket)))
    if (await running.isServed()) return running
  }
  if (redisPlace(config)) {
    const { openRedisAdministration } = await import('./redis-administration.ts')
    return openRedisAdministration(config, { ...input, cwd: folder })
  }
  const path = resolve(folder, config.dbPath)
  if (!existsSync(path)) throw nothingThere(folder, config)
  const { openSqliteAdministration } = await import('./sqlite-administration.ts')
  return openSqliteAdministration(path, config)
}

/** The folder that was named, else the one that looks like a server's. */
export function serverFolder({ folder, env, cwd }: Surroundings & { readonly folder: string | undefined }): string {
  if (folder !== undefined) return resolve(cwd, folder)
  const isOne = (candidate: string) =>
    ['id_ed25519', 'db_v2.sqlite3', 'admin.sock'].some((name) => existsSync(join(candidate, name)))
  const data = resolve(cwd, env.DATA_DIR ?? DATA_FOLDER)
  return !isOne(cwd) && isOne(data) ? data : cwd
}

/** The system knows only short paths of sockets. */
function shortest(path: string): string {
  const fromHere = relative(process.cwd(), path)
  return fromHere.length < path.length ? fromHere : path
}

function nothingThere(folder: string, { adminSocket, dbPath }: DeviceToolConfig): UsageError {
  return new UsageError(
    `no ID server answers at ${resolve(folder, adminSocket)}, and there is no database ${resolve(folder, dbPath)}: ` +
      'run the command in the folder of the server, name it with --folder, or say where Redis is with --redis-url',
  )
}
