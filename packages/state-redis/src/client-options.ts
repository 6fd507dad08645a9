import type { RedisOptions } from 'ioredis'
import type { RedisAddress, RedisSettings } from './settings.ts'

/** What REDIS_URL says, taken apart. */
export interface RedisLocation extends RedisAddress {
  readonly username: string | undefined
  readonly password: string | undefined
  readonly db: number
  readonly isTls: boolean
}

export type ClientOptions = RedisOptions & { replyMapping: 'legacy' }

const DEFAULT_PORT = 6379

/** Throws an Error whose message names the fault, never the password. */
export function parseRedisUrl(text: string): RedisLocation {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new Error('REDIS_URL is no URL; write redis://host:port or rediss://user:password@host:port/0')
  }
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:')
    throw new Error(`REDIS_URL begins with ${url.protocol}//; write redis://, or rediss:// for TLS`)
  const db = url.pathname.replace(/^\//, '')
  if (!/^\d*$/.test(db)) throw new Error(`REDIS_URL ends with "/${db}", which is no number of a database`)
  return {
    host: url.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    username: url.username === '' ? undefined : decodeURIComponent(url.username),
    password: url.password === '' ? undefined : decodeURIComponent(url.password),
    db: Number(db),
    isTls: url.protocol === 'rediss:',
  }
}

const CONNECT_TIMEOUT_MS = 2_000
const LONGEST_RECONNECT_DELAY_MS = 500

/** Nothing that was refused or lost may be sent later: no queue while away, no sending again. */
function careful(label: string): ClientOptions {
  return {
    connectionName: label,
    protocol: 2,
    replyMapping: 'legacy',
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    autoResubscribe: false,
    disableClientInfo: true,
    enableReadyCheck: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    disconnectTimeout: 200,
    keepAlive: 5_000,
    noDelay: true,
    retryStrategy: (attempt) => Math.min(50 * attempt, LONGEST_RECONNECT_DELAY_MS),
    lazyConnect: true,
  }
}

/** For one server, or the primary that Sentinels name. */
export function clientOptions(settings: RedisSettings, label: string, at?: RedisAddress): ClientOptions {
  const { username, password, db, isTls, host, port } = parseRedisUrl(settings.url)
  // Node checks the certificate against the host that is connected to.
  const tls = isTls ? {} : undefined
  const common: ClientOptions = {
    ...careful(label),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls } : {}),
  }
  if (settings.sentinels.length === 0)
    return { ...common, db: at ? 0 : db, host: at?.host ?? host, port: at?.port ?? port }
  return {
    ...common,
    db,
    sentinels: settings.sentinels.map(({ host, port }) => ({ host, port })),
    name: settings.sentinelName,
    role: 'master',
    failoverDetector: true,
    updateSentinels: false,
    sentinelCommandTimeout: 1_000,
    sentinelRetryStrategy: () => LONGEST_RECONNECT_DELAY_MS,
    ...(settings.sentinelPassword === undefined ? {} : { sentinelPassword: settings.sentinelPassword }),
    ...(tls ? { sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
  }
}
