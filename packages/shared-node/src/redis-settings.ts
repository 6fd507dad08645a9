import { type ClusterConfig, redisPlace } from '@tryst/service'
import type { RedisSettings } from '@tryst/state-redis'

/** Counts only for its user, password, database and scheme where Sentinels or a Cluster are named. */
const NO_URL = 'redis://127.0.0.1'

/** What there is to know of Redis. */
export type RedisConfig = Omit<ClusterConfig, 'nodeId' | 'nodeAddress' | 'workers' | 'reusePort'>

/** How the shared Redis is reached; undefined where no setting names one. */
export function redisSettings(config: RedisConfig): RedisSettings | undefined {
  const place = redisPlace(config)
  if (!place) return undefined
  return {
    url: place.url ?? NO_URL,
    sentinels: place.kind === 'sentinel' ? place.sentinels : [],
    sentinelName: config.redisSentinelName,
    ...(config.redisSentinelPassword !== undefined && { sentinelPassword: config.redisSentinelPassword }),
    cluster: place.kind === 'cluster' ? place.nodes : [],
    ...(config.redisRequireReplica !== undefined && { requireReplica: config.redisRequireReplica }),
    prefix: config.redisPrefix,
    nodeLeaseMs: config.nodeLeaseMs,
  }
}
