import type { BindAddress, StandaloneConfig } from '@tryst/service'

/** Arguments of both programs; whatever is not an argument they find in `.env` and in the environment themselves. */
export interface ServiceArguments {
  readonly hbbs: readonly string[]
  readonly hbbr: readonly string[]
}

/** Both keep to the data folder, whatever Redis the environment names: an empty flag hides it. */
const WITHOUT_REDIS = ['--redis-url=', '--redis-sentinels=', '--redis-cluster=']

/**
 * Hands the arguments of `npm start` on to hbbs, which knows all but one of them, and gives hbbr what differs from what
 * it would find by itself: its port, since its variable names the ID server's, and a key, since by default it has none.
 * A key that comes from elsewhere is never an argument: everybody on the machine can read those.
 */
export function serviceArguments(
  argv: readonly string[],
  { hbbs, hbbr }: Pick<StandaloneConfig, 'hbbs' | 'hbbr'>,
): ServiceArguments {
  const key = argumentOf(argv, ['-k', '--key']) ?? (hbbr.key === '_' ? '_' : undefined)
  return {
    hbbs: [...withoutOwn(argv), ...metricsArguments(hbbs.metricsBind), ...WITHOUT_REDIS],
    hbbr: [
      ...['-p', String(hbbr.port)],
      ...(key === undefined ? [] : ['-k', key]),
      ...(hbbr.bind === undefined ? [] : ['-b', hbbr.bind]),
      ...metricsArguments(hbbr.metricsBind),
      ...WITHOUT_REDIS,
    ],
  }
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
