import { parseRedisUrl } from './client-options.ts'
import type { RedisSettings } from './settings.ts'

/** What a failure says, and what to do about it. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/, 'start it, or correct the address'],
  [/ENOTFOUND|EAI_AGAIN/, 'correct the host name'],
  [/ECONNRESET/, 'see whether it wants TLS (rediss://)'],
  [/WRONGPASS|NOAUTH|AUTH/i, 'correct user and password in REDIS_URL'],
  [/NOPERM/, 'allow its user the commands and keys that docs/state.md lists'],
  [
    /certificate|SSL|TLS|wrong version number/i,
    'see whether the server speaks TLS, and name who signed its certificate in NODE_EXTRA_CA_CERTS',
  ],
  [/cluster support disabled/, 'unset REDIS_CLUSTER'],
  [/LOADING/, 'it still reads its data; wait'],
  [/sentinel/i, 'correct REDIS_SENTINELS and REDIS_SENTINEL_NAME'],
]

/** The message for an operator; never with a password. */
export function explain(reason: string, settings: RedisSettings): string {
  const remedy = REMEDIES.find(([pattern]) => pattern.test(reason))?.[1]
  return `Redis (${place(settings)}) can't be used: ${reason}${remedy ? `; ${remedy}` : ''}`
}

function place({ url, sentinels, cluster, sentinelName }: RedisSettings): string {
  const list = (addresses: readonly { host: string; port: number }[]) =>
    addresses.map(({ host, port }) => `${host}:${port}`).join(', ')
  if (cluster.length > 0) return `the Cluster of ${list(cluster)}`
  if (sentinels.length > 0) return `"${sentinelName}" of the Sentinels ${list(sentinels)}`
  const { host, port } = parseRedisUrl(url)
  return `${host}:${port}`
}
