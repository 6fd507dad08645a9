import {
  type ApiConfig,
  apiSettings,
  type BindAddress,
  flagNames,
  hbbsSettings,
  type StandaloneConfig,
} from '@tryst/service'

/** Arguments of the programs; whatever is not an argument they find in `.env` and in the environment themselves. */
export interface ServiceArguments {
  readonly hbbs: readonly string[]
  readonly hbbr: readonly string[]
  /** Undefined where there is to be none. */
  readonly api: readonly string[] | undefined
}

/** hbbs and hbbr keep to the data folder, whatever Redis the environment names: an empty flag hides it. */
const WITHOUT_REDIS = ['--redis-url=', '--redis-sentinels=', '--redis-cluster=']

/**
 * Hands the arguments of `npm start` on to hbbs, which knows all but one of them, and gives hbbr what differs from what
 * it would find by itself: its port, since its variable names the ID server's, and a key, since by default it has none.
 * A key that comes from elsewhere is never an argument: everybody on the machine can read those.
 */
export function serviceArguments(
  argv: readonly string[],
  { hbbs, hbbr, api }: Pick<StandaloneConfig, 'hbbs' | 'hbbr' | 'api'>,
): ServiceArguments {
  const argvKey = argumentOf(argv, ['-k', '--key'])
  const key = argvKey ?? (hbbr.key === '_' ? '_' : undefined)
  return {
    hbbs: [...withoutOwn(argv), ...metricsArguments(hbbs.metricsBind), ...apiAddress(api), ...WITHOUT_REDIS],
    hbbr: [
      ...['-p', String(hbbr.port)],
      ...(key === undefined ? [] : ['-k', key]),
      ...(hbbr.bind === undefined ? [] : ['-b', hbbr.bind]),
      ...metricsArguments(hbbr.metricsBind),
      ...WITHOUT_REDIS,
    ],
    api: api && [
      ...['-p', String(api.port)],
      ...(argvKey === undefined ? [] : ['-k', argvKey]),
      ...(api.bind === undefined ? [] : ['-b', api.bind]),
      ...FLAGS_OF_API.flatMap((flag) => {
        const value = argumentOf(argv, [flag])
        return value === undefined ? [] : [`${flag}=${value}`]
      }),
      ...metricsArguments(api.metricsBind),
    ],
  }
}

/** Flags of the ID server that mean the same to the API; its port, its key and its address are its own. */
const FLAGS_OF_API = Object.values(apiSettings)
  .filter((setting) =>
    Object.values<{ variable: string }>(hbbsSettings).some(({ variable }) => variable === setting.variable),
  )
  .filter(({ variable }) => !['PORT', 'KEY', 'BIND', 'METRICS_BIND'].includes(variable))
  .map((setting) => flagNames(setting).split(', ').at(-1) ?? '')

/** Where the ID server finds an API that does not listen on loopback. */
function apiAddress(api: ApiConfig | undefined): readonly string[] {
  if (api?.bind === undefined || api.bind === '0.0.0.0' || api.bind === '::') return []
  return [`--api-url=http://${formatBind({ host: api.bind, port: api.port })}`]
}

export function formatBind({ host, port }: Pick<BindAddress, 'host' | 'port'>): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

function metricsArguments(bind: BindAddress | undefined): readonly string[] {
  return bind === undefined ? [] : ['--metrics-bind', `${formatBind(bind)}${bind.whenTaken === 'warn' ? '?' : ''}`]
}

/** Without what hbbs does not know, or is told anew. */
function withoutOwn(argv: readonly string[]): readonly string[] {
  const own = ['--data-dir', '--metrics-bind']
  return argv.filter((word, index) => !own.includes(word.split('=')[0] ?? '') && !own.includes(argv[index - 1] ?? ''))
}

function argumentOf(argv: readonly string[], names: readonly string[]): string | undefined {
  for (const [index, word] of argv.entries()) {
    if (names.includes(word)) return argv[index + 1]
    const [name = '', ...value] = word.split('=')
    if (names.includes(name)) return value.join('=')
  }
  return undefined
}
