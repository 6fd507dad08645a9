import { isAbsolute, resolve } from 'node:path'
import { type ApiConfig, apiSettings } from './api-settings.ts'
import { clusterProblems, redisPlace } from './cluster-settings.ts'
import { type Program, readCommandLine } from './command-line.ts'
import { ConfigError, type ConfigProblem } from './config-error.ts'
import { codeOf } from './error-code.ts'
import { type HbbrConfig, hbbrProblems, hbbrSettings } from './hbbr-settings.ts'
import { type HbbsConfig, hbbsSettings } from './hbbs-settings.ts'
import { misspeltVariables } from './misspelt-variables.ts'
import { proxyProblems } from './proxy-problems.ts'
import { resolveSettings } from './resolve-settings.ts'
import type { ConfigOf } from './setting.ts'
import {
  type Environment,
  environmentSource,
  fileSource,
  type ReadFile,
  type SettingSource,
} from './setting-sources.ts'
import { type StandaloneConfig, standaloneSettings } from './standalone-settings.ts'
import type { BindAddress } from './value-schemas.ts'

/** Everything that a configuration is made from. */
export interface ConfigInput {
  /** Without the program itself. */
  readonly argv: readonly string[]
  readonly env: Environment
  /** Working directory, where `.env` is looked for. */
  readonly cwd: string
  readonly readFile: ReadFile
  /** What `--version` shows. */
  readonly version: string
  /** A parent process hands over the tickets of sessions. */
  readonly ticketsFromParent?: boolean
}

export type ParsedConfig<Config> =
  | { readonly kind: 'run'; readonly config: Config; readonly warnings: readonly string[] }
  /** The command line asks for a text (`--help`, `--version`) instead of a server. */
  | { readonly kind: 'print'; readonly text: string }

const HBBS: Program = {
  name: 'hbbs',
  description: 'ID server for RustDesk clients.',
  settings: hbbsSettings,
  configFile: 'accepted',
}

const HBBR: Program = {
  name: 'hbbr',
  description: 'Relay server for RustDesk clients.',
  settings: hbbrSettings,
  configFile: 'unknown',
}

const API: Program = {
  name: 'api',
  description: 'HTTP API for RustDesk clients.',
  settings: apiSettings,
  configFile: 'unknown',
}

const STANDALONE: Program = {
  name: 'npm start --',
  description: 'ID server, relay and API in one, with their data in one folder.',
  settings: { ...hbbsSettings, ...standaloneSettings },
  configFile: 'unknown',
}

const ALL_TABLES = [hbbsSettings, hbbrSettings, apiSettings, standaloneSettings]

/** Highest first: flag, `--config` file, `.env` in the working directory, environment. */
export function parseHbbsConfig(input: ConfigInput): ParsedConfig<HbbsConfig> {
  return parse(HBBS, input, hbbsSettings, (config) => [...clusterProblems(config), ...proxyProblems(config)])
}

/** Highest first: flag, `.env` in the working directory, environment. */
export function parseHbbrConfig(input: ConfigInput): ParsedConfig<HbbrConfig> {
  return parse(HBBR, input, hbbrSettings, (config) => [
    ...clusterProblems(config),
    ...proxyProblems(config),
    ...(input.ticketsFromParent ? [] : hbbrProblems(config)),
  ])
}

/** Highest first: flag, `.env` in the working directory, environment. */
export function parseApiConfig(input: ConfigInput): ParsedConfig<ApiConfig> {
  return parse(API, input, apiSettings, () => [])
}

function parse<Table extends typeof hbbsSettings | typeof hbbrSettings | typeof apiSettings>(
  program: Program,
  input: ConfigInput,
  table: Table,
  problemsTogether: (config: ConfigOf<Table>) => ConfigProblem[],
) {
  const commandLine = readCommandLine(program, input.argv)
  const text = textAskedFor(program, commandLine.wants, commandLine.help, input.version)
  if (text !== undefined) return { kind: 'print', text } as const

  const problems: ConfigProblem[] = [...commandLine.problems]
  const files: SettingSource[] = []
  if (commandLine.configFile !== undefined) {
    files.push(...readSettingsFile(input, commandLine.configFile, 'required', problems))
  }
  files.push(...readSettingsFile(input, '.env', 'optional', problems))
  const sources = [commandLine.source, ...files, environmentSource(input.env)]
  const resolved = resolveSettings(table, sources, secretReader(input))
  finish([...problems, ...resolved.problems, ...problemsTogether(resolved.config)])
  return {
    kind: 'run',
    config: resolved.config,
    warnings: [...resolved.warnings, ...misspeltVariables(ALL_TABLES, sources)],
  } as const
}

/** All services with their data in one folder; highest first: flag, `.env` in that folder, environment. */
export function parseStandaloneConfig(input: ConfigInput): ParsedConfig<StandaloneConfig> {
  const commandLine = readCommandLine(STANDALONE, input.argv)
  const text = textAskedFor(STANDALONE, commandLine.wants, commandLine.help, input.version)
  if (text !== undefined) return { kind: 'print', text }

  const environment = environmentSource(input.env)
  const own = resolveSettings(standaloneSettings, [commandLine.source, environment], secretReader(input))
  const dataDir = resolve(input.cwd, own.config.dataDir)
  const dotEnvProblems: ConfigProblem[] = []
  const dotEnv = readSettingsFile({ ...input, cwd: dataDir }, '.env', 'optional', dotEnvProblems)
  const sources = [commandLine.source, ...dotEnv, environment]
  const hbbs = resolveSettings(hbbsSettings, sources, secretReader(input))
  // For the others the flags, too, name the ID server's port: they derive theirs.
  const derivedSources = sources.map((source) =>
    source.kind === 'flags' ? { ...source, kind: 'file' as const } : source,
  )
  const closedRelay = { ...hbbrSettings, key: { ...hbbrSettings.key, fallback: '_' } }
  const hbbr = resolveSettings(closedRelay, derivedSources, secretReader(input))
  const api = resolveSettings(apiSettings, derivedSources, secretReader(input))
  const all = [own, hbbs, hbbr, api]
  finish([
    ...commandLine.problems,
    ...dotEnvProblems,
    ...all.flatMap(({ problems }) => problems),
    ...clusterProblems({ ...hbbs.config, ...WITHOUT_REDIS }),
    ...proxyProblems(hbbs.config),
  ])
  const metrics = metricsOfAll(hbbs.config.metricsBind)
  return {
    kind: 'run',
    config: Object.freeze({
      dataDir,
      hbbs: Object.freeze({ ...hbbs.config, ...WITHOUT_REDIS, metricsBind: metrics.hbbs }),
      hbbr: Object.freeze({ ...hbbr.config, ...WITHOUT_REDIS, metricsBind: metrics.hbbr }),
      api: hbbs.config.apiUrl === undefined ? Object.freeze({ ...api.config, metricsBind: metrics.api }) : undefined,
    }),
    warnings: [
      ...(redisPlace(hbbs.config) ? [REDIS_UNUSED] : []),
      ...new Set([...all.flatMap(({ warnings }) => warnings), ...misspeltVariables(ALL_TABLES, sources)]),
    ],
  }
}

/** One node on its own store: a Redis that the environment names for others is not used. */
const REDIS_UNUSED =
  'REDIS_URL is not used: npm start keeps its devices in its data folder; start hbbs and hbbr by themselves to share a Redis'
const WITHOUT_REDIS = { redisUrl: undefined, redisSentinels: undefined, redisCluster: undefined } as const

/** The others take the next ports. A port for metrics that nobody asked for is no reason not to start. */
function metricsOfAll(chosen: BindAddress | undefined): Readonly<Record<'hbbs' | 'hbbr' | 'api', BindAddress>> {
  const hbbs = chosen ?? { host: '127.0.0.1', port: 21_120, whenTaken: 'warn' }
  return { hbbs, hbbr: { ...hbbs, port: hbbs.port + 1 }, api: { ...hbbs, port: hbbs.port + 2 } }
}

function textAskedFor(program: Program, wants: 'run' | 'help' | 'version', help: string, version: string) {
  if (wants === 'help') return help
  if (wants === 'version') return `${program.name === STANDALONE.name ? 'tryst' : program.name} ${version}\n`
  return undefined
}

export function readSettingsFile(
  input: Pick<ConfigInput, 'cwd' | 'readFile'>,
  path: string,
  presence: 'required' | 'optional',
  problems: ConfigProblem[],
): SettingSource[] {
  const setting = presence === 'required' ? '--config' : '.env'
  const absolute = isAbsolute(path) ? path : resolve(input.cwd, path)
  try {
    const content = input.readFile(absolute)
    if (content === undefined) {
      if (presence === 'required') {
        problems.push({ setting, source: absolute, remedy: 'there is no such file; name an INI file with settings' })
      }
      return []
    }
    const { source, problems: fileProblems } = fileSource(path, content)
    problems.push(...fileProblems)
    return [source]
  } catch (error) {
    problems.push({
      setting,
      source: absolute,
      remedy: `cannot be read (${codeOf(error)}); let this user read the file`,
    })
    return []
  }
}

export const secretReader =
  (input: Pick<ConfigInput, 'cwd' | 'readFile'>): ReadFile =>
  (path) =>
    input.readFile(resolve(input.cwd, path))

/** Several services read some variables, and what is wrong with one of those is said once. */
function finish(problems: readonly ConfigProblem[]): void {
  const different = new Map(problems.map((problem) => [JSON.stringify(problem), problem]))
  if (different.size > 0) throw new ConfigError([...different.values()])
}
