import { join } from 'node:path'
import { type ClusterConfig, clusterProblems, clusterSettings } from './cluster-settings.ts'
import { longFlag } from './command-line.ts'
import { ConfigError, type ConfigProblem } from './config-error.ts'
import { hbbsSettings } from './hbbs-settings.ts'
import { type ConfigInput, readSettingsFile, secretReader } from './parse-config.ts'
import { resolveSettings } from './resolve-settings.ts'
import type { ConfigOf, Setting } from './setting.ts'
import { environmentSource, normaliseName, type SettingSource } from './setting-sources.ts'

/** A flag of a tool that needs nothing but the shared Redis. */
export interface RedisFlag {
  /** `--redis-url`. */
  readonly flag: string
  readonly meaning: string
}

const { redisUrl, redisSentinels, redisSentinelName, redisCluster, redisPrefix } = clusterSettings
const REDIS_SETTINGS: readonly Setting<unknown>[] = [
  ...[redisUrl, redisSentinels, redisSentinelName, redisCluster, redisPrefix],
]

/** Those settings of the servers by which Redis is found, as flags. */
export const redisFlags: readonly RedisFlag[] = REDIS_SETTINGS.flatMap((setting) => {
  const flag = longFlag(setting)
  const { variable, meaning, secret } = setting
  const inShort = meaning.replace(/[.:](?: .*)?$/s, '').replaceAll('`', '')
  return [
    { flag, meaning: inShort },
    ...(secret ? [{ flag: `${flag}-file`, meaning: `File that holds ${variable}` }] : []),
  ]
})

/**
 * The settings that hbbs and hbbr share, for a tool; highest first: flag, `.env` in the working directory, environment.
 *
 * @param flags what was given, by `redisFlags`
 * @throws ConfigError
 */
export function parseToolConfig(
  flags: ReadonlyMap<string, string>,
  input: Pick<ConfigInput, 'env' | 'cwd' | 'readFile'>,
): ClusterConfig {
  return parse(clusterSettings, flags, input)
}

function parse<Table extends typeof clusterSettings>(
  settings: Table,
  flags: ReadonlyMap<string, string>,
  input: Pick<ConfigInput, 'env' | 'cwd' | 'readFile'>,
): ConfigOf<Table> {
  const problems: ConfigProblem[] = []
  const values = [...flags].map(
    ([flag, text]) => [normaliseName(flag.replace(/^--/, '')), { name: flag, text }] as const,
  )
  const commandLine: SettingSource = { kind: 'flags', title: 'command line', values: new Map(values) }
  const sources = [commandLine, ...readSettingsFile(input, '.env', 'optional', problems), environmentSource(input.env)]
  const { config, problems: wrong } = resolveSettings(settings, sources, secretReader(input))
  problems.push(...wrong, ...clusterProblems({ ...config, workers: 1, reusePort: false }))
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

const { dbPath, key, accessMode, adminSocket, idMaxBytes, uuidMaxBytes, oldIdHoldMs } = hbbsSettings
const deviceToolSettings = {
  ...clusterSettings,
  ...{ dbPath, key, accessMode, adminSocket, idMaxBytes, uuidMaxBytes, oldIdHoldMs },
}

/** What a tool has to know of an ID server to do something with its devices. */
export type DeviceToolConfig = ConfigOf<typeof deviceToolSettings>

/** The same for a tool that works with the devices of an ID server. @throws ConfigError */
export function parseDeviceToolConfig(
  flags: ReadonlyMap<string, string>,
  input: Pick<ConfigInput, 'env' | 'cwd' | 'readFile'>,
): DeviceToolConfig {
  return parse(deviceToolSettings, flags, input)
}

/** What the `.env` of a server's folder says of its files. @throws ConfigError */
export function readFolderConfig(
  folder: string,
  readFile: ConfigInput['readFile'],
): { readonly dbPath: string; readonly key: string } {
  const problems: ConfigProblem[] = []
  const input = { env: {}, cwd: folder, readFile }
  const sources = readSettingsFile(input, join(folder, '.env'), 'optional', problems)
  const { dbPath, key } = hbbsSettings
  const { config, problems: wrong } = resolveSettings({ dbPath, key }, sources, secretReader(input))
  problems.push(...wrong)
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}
