import { accessSettings } from './access-settings.ts'
import { clusterSettings } from './cluster-settings.ts'
import { type ConfigOf, setting } from './setting.ts'
import { keySetting, sharedSettings, warnOfPublicName } from './shared-settings.ts'
import { text, webAddress, wholeNumber, yesOrNo } from './value-schemas.ts'

const DEFAULT_PORT = 21_114
/** The ID server listens two ports above, and two above that. */
const MAX_PORT = 65_531

const isPositiveWholeNumber = (value: string) => /^0*[1-9]\d*$/.test(value.trim())

/** Where clients find the API; the ID server and the API both need to know. */
export const apiPublicUrl = setting({
  variable: 'API_PUBLIC_URL',
  schema: webAddress,
  fallback: undefined,
  warning: warnOfPublicName,
  topic: 'API',
  meaning:
    'Where clients reach the API through a proxy with a certificate that they trust, such as `https://hbbs.example.com`. It becomes the `api` of the configuration text, which also makes clients use WebSocket over TLS. A path in it is understood in front of every route.',
  reason: 'Without it clients derive `http://ID server:PORT - 2` by themselves.',
})

const { redisUrl, redisSentinels, redisSentinelName, redisSentinelPassword } = clusterSettings
const { redisCluster, redisPrefix, redisRequireReplica } = clusterSettings

/** Everything the API can be told; one entry is all that a new setting needs. */
export const apiSettings = {
  port: setting({
    variable: 'PORT',
    flag: { short: 'p', value: 'number' },
    schema: wholeNumber({ min: 1, max: MAX_PORT }),
    // The variable names the ID server's port, so that one .env serves all programs.
    variableSchema: text.transform((value, context) => {
      const port = isPositiveWholeNumber(value) ? Number(value) - 2 : 0
      if (port >= 1 && port <= MAX_PORT) return port
      context.addIssue({ code: 'custom', message: `use a whole number from 3 to ${MAX_PORT + 2}` })
      return DEFAULT_PORT
    }),
    fallback: DEFAULT_PORT,
    meaning: "API port. The flag is the port itself; the variable is the ID server's, and the API takes PORT - 2.",
    reason: "Clients derive it from the ID server's.",
  }),
  key: setting({
    ...keySetting,
    fallback: '-',
    meaning:
      'What the status page shows as the key. `-`, `_` or empty: `id_ed25519.pub` in the working directory, as soon as it is there. 64 bytes in base64: the public half of that secret key. Anything else: that text.',
  }),
  publicHost: sharedSettings.publicHost,
  publicUrl: apiPublicUrl,
  statusPage: setting({
    variable: 'STATUS_PAGE',
    schema: yesOrNo,
    fallback: true,
    fallbackText: 'Y',
    topic: 'API',
    meaning: 'N: nothing is shown at `/`.',
    reason: 'The page shows the public key. Whoever must not use the server should not see it.',
  }),
  ...accessSettings,
  ...{ redisUrl, redisSentinels, redisSentinelName, redisSentinelPassword },
  ...{ redisCluster, redisPrefix, redisRequireReplica },
  bind: sharedSettings.bind,
  trustedProxies: sharedSettings.trustedProxies,
  metricsBind: sharedSettings.metricsBind,
  logLevel: sharedSettings.logLevel,
  logFormat: sharedSettings.logFormat,
  connectionsPerSource: sharedSettings.connectionsPerSource,
  connectionsTotal: setting({
    variable: 'API_CONNECTIONS_TOTAL',
    schema: wholeNumber({ min: 2, max: 1_000_000 }),
    fallback: 10_000,
    topic: 'Limits',
    meaning:
      'HTTP connections at once. Beyond it the oldest that has sent no request gives way; where there is none, the newcomer is refused.',
  }),
  requestsPerMinute: setting({
    variable: 'API_REQUESTS_PER_MINUTE',
    schema: wholeNumber({ min: 10, max: 10_000_000 }),
    fallback: 12_000,
    topic: 'Limits',
    meaning: 'Requests from one address (IPv6: /64) in a minute; what comes beyond is answered with 429.',
    reason:
      'A device asks four times a minute, twenty times while somebody is connected: 600 of those behind one address.',
  }),
  loginsPerMinute: setting({
    variable: 'API_LOGINS_PER_MINUTE',
    schema: wholeNumber({ min: 1, max: 1_000_000 }),
    fallback: 30,
    topic: 'Limits',
    meaning: 'Attempts to log in from one address (IPv6: /64) in a minute.',
  }),
}

export type ApiConfig = ConfigOf<typeof apiSettings>
