import type { ConfigProblem } from './config-error.ts'
import { type ConfigOf, setting } from './setting.ts'
import {
  type HostAndPort,
  hostPortList,
  redisUrl,
  serverAddress,
  text,
  trimmedText,
  wholeNumber,
  yesOrNo,
} from './value-schemas.ts'

const TOPIC = 'Several nodes'

/** What makes several hbbs and hbbr one server; both understand all of it. */
export const clusterSettings = {
  redisUrl: setting({
    variable: 'REDIS_URL',
    schema: redisUrl,
    fallback: undefined,
    secret: true,
    topic: TOPIC,
    meaning:
      'Redis (7 or newer) or Valkey that all nodes share: `redis://user:password@host:6379/0`, `rediss://` with TLS. Without it hbbs keeps its devices in SQLite and is the only node. With REDIS_SENTINELS or REDIS_CLUSTER only its user, password, database and TLS count.',
  }),
  redisSentinels: setting({
    variable: 'REDIS_SENTINELS',
    schema: hostPortList(26_379),
    fallback: undefined,
    topic: TOPIC,
    meaning: 'Sentinels that know the primary, `host:port` with commas between them.',
  }),
  redisSentinelName: setting({
    variable: 'REDIS_SENTINEL_NAME',
    schema: trimmedText('the name of the primary in the configuration of the sentinels'),
    fallback: 'mymaster',
    topic: TOPIC,
    meaning: 'What the sentinels call the primary.',
  }),
  redisSentinelPassword: setting({
    variable: 'REDIS_SENTINEL_PASSWORD',
    schema: text,
    fallback: undefined,
    secret: true,
    topic: TOPIC,
    meaning: 'What the sentinels themselves ask for, where they do.',
  }),
  redisCluster: setting({
    variable: 'REDIS_CLUSTER',
    schema: hostPortList(6_379),
    fallback: undefined,
    topic: TOPIC,
    meaning: 'Some nodes of a Redis Cluster, `host:port` with commas between them.',
  }),
  redisRequireReplica: setting({
    variable: 'REDIS_REQUIRE_REPLICA',
    schema: yesOrNo,
    fallback: undefined,
    fallbackText: 'Y with Sentinels, else N',
    topic: TOPIC,
    meaning:
      'Y: a new device is acknowledged only when a replica has it, whether or not one has been seen. N: as long as one has been seen behind the primary within the last 10 minutes.',
  }),
  redisPrefix: setting({
    variable: 'REDIS_PREFIX',
    schema: trimmedText('a text without { and }'),
    fallback: 'tryst:',
    topic: TOPIC,
    meaning: 'Begins every key in Redis. Servers with different prefixes share a Redis and nothing else.',
  }),
  nodeId: setting({
    variable: 'NODE_ID',
    schema: trimmedText('a name'),
    fallback: undefined,
    fallbackText: 'host name',
    topic: TOPIC,
    meaning: 'What logs and lists call this node. Only a label: two nodes of one name do no harm.',
  }),
  nodeAddress: setting({
    variable: 'NODE_ADDRESS',
    schema: serverAddress,
    fallback: undefined,
    fallbackText: 'the local address of the connection to Redis, with a free port',
    topic: TOPIC,
    meaning:
      'Where other nodes reach this one, `host` or `host:port`. TCP, encrypted, for nodes only: keep it from the internet.',
  }),
  nodeLeaseMs: setting({
    variable: 'NODE_LEASE_MS',
    schema: wholeNumber({ min: 1_000, max: 60_000 }),
    fallback: 6_000,
    topic: TOPIC,
    meaning: 'How many milliseconds after its last sign of life in Redis a node counts as dead.',
    reason: 'Renewed every second: five losses in a row are no death yet.',
  }),
  workers: setting({
    variable: 'WORKERS',
    schema: wholeNumber({ min: 1, max: 256 }),
    fallback: 1,
    topic: TOPIC,
    meaning:
      "Nodes that this program starts, one for each core that it may use; they share its ports. Ports of METRICS_BIND and NODE_ADDRESS are the first worker's; each of the others has the next.",
  }),
  reusePort: setting({
    variable: 'REUSE_PORT',
    schema: yesOrNo,
    fallback: false,
    fallbackText: 'N',
    topic: TOPIC,
    meaning: 'Y: other nodes on this host that say so, too, may listen on the same ports (SO_REUSEPORT).',
    reason: 'A second start by mistake is told that the port is taken.',
  }),
} as const

export type ClusterConfig = ConfigOf<typeof clusterSettings>

/** How the shared Redis is reached; undefined: there is none. */
export type RedisPlace =
  | { readonly kind: 'single'; readonly url: string }
  | {
      readonly kind: 'sentinel'
      readonly url: string | undefined
      readonly sentinels: readonly HostAndPort[]
      readonly name: string
    }
  | { readonly kind: 'cluster'; readonly url: string | undefined; readonly nodes: readonly HostAndPort[] }

type PlaceSettings = Pick<ClusterConfig, 'redisUrl' | 'redisSentinels' | 'redisSentinelName' | 'redisCluster'>

export function redisPlace(config: PlaceSettings): RedisPlace | undefined {
  const { redisUrl: url, redisSentinels, redisSentinelName, redisCluster } = config
  if (redisSentinels) return { kind: 'sentinel', url, sentinels: redisSentinels, name: redisSentinelName }
  if (redisCluster) return { kind: 'cluster', url, nodes: redisCluster }
  return url === undefined ? undefined : { kind: 'single', url }
}

/** What is wrong with settings that are right one by one. */
export function clusterProblems(config: ClusterConfig): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const problem = (name: string, remedy: string) =>
    problems.push({ setting: name, source: 'settings together', remedy })
  if (config.redisSentinels && config.redisCluster) {
    problem('REDIS_SENTINELS, REDIS_CLUSTER', 'both are set; a Redis is watched by sentinels or is a cluster: keep one')
  }
  if (config.workers > 1 && redisPlace(config) === undefined) {
    problem(`WORKERS=${config.workers}`, 'workers share their devices in Redis: set REDIS_URL, or leave WORKERS at 1')
  }
  if (config.reusePort && redisPlace(config) === undefined) {
    problem('REUSE_PORT=Y', 'nodes on one port have to share their devices in Redis: set REDIS_URL, or leave it out')
  }
  if (config.nodeAddress && ['0.0.0.0', '::'].includes(config.nodeAddress.host)) {
    problem(
      `NODE_ADDRESS=${config.nodeAddress.host}`,
      'other nodes are told to connect there: name the address at which they reach this machine',
    )
  }
  if (/[{}]/.test(config.redisPrefix)) {
    problem(`REDIS_PREFIX=${config.redisPrefix}`, 'braces decide where Redis Cluster keeps a key: use none')
  }
  return problems
}
