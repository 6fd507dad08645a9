import { parseRedisUrl } from './client-options.ts'
import { type PrimaryInfo, readInfo } from './primary-info.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { RedisLane } from './redis-lane.ts'
import { defineScript } from './redis-script.ts'
import { claimServerKey } from './server-key.ts'

/** What is wrong with Redis. An error: data or identities would be lost, or the server can't work. */
export interface RedisProblem {
  readonly severity: 'error' | 'warning'
  readonly text: string
}

const OLDEST_VERSION = 7
const CLOCK_TOLERANCE_MS = 2_000
/** Deadlines of one step are reckoned by the clock of its primary, leases by that of one of them. */
const CLUSTER_CLOCK_TOLERANCE_MS = 300

/** Asks Redis which of the commands that we send the user may not send, to a key with our prefix. */
const FORBIDDEN = defineScript(
  'forbidden',
  `
local forbidden = {}
for index = 2, #ARGV do
  local words = {}
  for word in string.gmatch(ARGV[index], '%S+') do words[#words + 1] = word == 'KEY' and KEYS[1] or word end
  if not redis.acl_check_cmd(unpack(words)) then forbidden[#forbidden + 1] = words[1] end
end
return forbidden`,
)
const NEEDED = [
  'PING',
  'TIME',
  'INFO',
  'WAIT 1 1',
  'EVAL x 1 KEY',
  'EVALSHA x 1 KEY',
  'SET KEY x',
  'GET KEY',
  'DEL KEY',
  'HSET KEY f x',
  'HGET KEY f',
  'HMGET KEY f',
  'HDEL KEY f',
  'HGETALL KEY',
  'ZADD KEY 1 x',
  'ZREM KEY x',
  'ZSCORE KEY x',
  'ZRANGE KEY 0 1',
  'ZRANGEBYSCORE KEY 0 1',
  'ZREMRANGEBYSCORE KEY 0 1',
  'PEXPIRE KEY 1',
]

/**
 * What Redis has to be and have, looked at once at start (docs/operating.md, Redis). Writes the server's public key
 * where none is stored yet.
 */
export async function checkRedis(
  connection: RedisConnection,
  { publicKey }: { readonly publicKey: Uint8Array },
): Promise<RedisProblem[]> {
  return [...(await checkRedisItself(connection)), ...(await checkServerKey(connection, publicKey))]
}

/** The same without the server's key; writes nothing. */
export async function checkRedisItself(connection: RedisConnection): Promise<RedisProblem[]> {
  const problems: RedisProblem[] = []
  for (const lane of connection.primaries)
    problems.push(...checkServer(connection, laneFacts(lane)), ...(await checkSync(lane, lane.info)))
  problems.push(...checkSettings(connection), ...(await checkDatabase(connection)), ...checkClocks(connection))
  problems.push(...(await checkPermissions(connection)))
  return problems
}

/**
 * What an operator may have changed since, of the primaries that answer: to be asked every now and then. Rejects with
 * StoreUnavailableError.
 */
export async function recheckRedis(connection: RedisConnection): Promise<RedisProblem[]> {
  const problems: RedisProblem[] = []
  for (const lane of connection.primaries) {
    if (lane.state !== 'up') continue
    const [text] = await lane.send([{ name: 'INFO', args: [] }])
    if (typeof text !== 'string') continue
    const info = readInfo(text)
    problems.push(...checkServer(connection, { ...laneFacts(lane), info }), ...(await checkSync(lane, info)))
    if (lane.replicas.wereRemoved) problems.push(warning(REPLICAS_REMOVED(lane.label)))
  }
  return problems
}

const REPLICAS_REMOVED = (label: string) =>
  `${label} had replicas and has had none for 10 minutes: they count as removed, and new devices are accepted without; ` +
  'where they are only cut off, bring them back, or set REDIS_REQUIRE_REPLICA=Y'

type ServerFacts = Pick<RedisLane, 'label'> & {
  readonly info: PrimaryInfo | undefined
  readonly hasReplicas: boolean
}

const laneFacts = ({ label, info, replicas }: RedisLane): ServerFacts => ({
  label,
  info,
  hasReplicas: replicas.areExpected,
})

function checkServer({ settings }: RedisConnection, { info, label, hasReplicas }: ServerFacts): RedisProblem[] {
  if (!info) return [error(`${label} has not said what it is; see whether it runs`)]
  const problems: RedisProblem[] = []
  if (!info.isValkey && Number.parseInt(info.version, 10) < OLDEST_VERSION)
    problems.push(error(`${label} is version ${info.version}; at least Redis ${OLDEST_VERSION} or Valkey is needed`))
  const { evictionPolicy, maxMemory } = info
  if (evictionPolicy === undefined)
    problems.push(warning(`${label} does not tell its maxmemory-policy; see that it is noeviction`))
  else if (evictionPolicy !== 'noeviction') {
    const text = `${label} has maxmemory-policy ${evictionPolicy}`
    const remedy = 'set maxmemory-policy noeviction'
    if (evictionPolicy.startsWith('allkeys') && maxMemory !== 0)
      problems.push(error(`${text} and would throw identities of devices away when its memory is full; ${remedy}`))
    else problems.push(warning(`${text}; ${remedy}, so that nothing is ever thrown away`))
  }
  if (info.isAppendOnly === undefined)
    problems.push(warning(`${label} does not tell whether its append-only file is on; see that it is (appendonly yes)`))
  else if (!info.isAppendOnly)
    problems.push(
      hasReplicas
        ? warning(`${label} has no append-only file: what all its servers lose at once is lost; set appendonly yes`)
        : error(`${label} has no append-only file and would lose identities when it restarts; set appendonly yes`),
    )
  if (settings.requireReplica && settings.sentinels.length === 0 && !hasReplicas)
    problems.push(
      warning(`${label} has no replica, and REDIS_REQUIRE_REPLICA is Y; new devices are refused until one runs`),
    )
  if (settings.sentinels.length > 0 && settings.requireReplica !== false && !hasReplicas)
    problems.push(
      warning(`${label} is watched by Sentinels but has no replica; new devices are refused until one runs`),
    )
  return problems
}

/** Managed servers often forbid CONFIG; then nothing is known, and nothing has to be wrong. */
async function checkSync(lane: RedisLane, info: PrimaryInfo | undefined): Promise<RedisProblem[]> {
  if (!info?.isAppendOnly) return []
  const [reply] = await lane.send([{ name: 'CONFIG', args: ['GET', 'appendfsync'] }])
  if (!Array.isArray(reply))
    return [
      warning(`${lane.label} does not let us read its settings (CONFIG); see that appendfsync is everysec or always`),
    ]
  if (reply[1] !== 'no') return []
  const text = 'leaves writing its append-only file to the system and may lose half a minute of it in a power failure'
  return [warning(`${lane.label} ${text}; set appendfsync everysec or always`)]
}

function checkSettings({ settings }: RedisConnection): RedisProblem[] {
  const { db } = parseRedisUrl(settings.url)
  if (settings.cluster.length === 0 || db === 0) return []
  return [error(`REDIS_URL names database ${db}, but a Redis Cluster has only database 0; remove the number`)]
}

/** The client stays in database 0 where the one that it was told does not exist. */
async function checkDatabase({ settings, primaries }: RedisConnection): Promise<RedisProblem[]> {
  const { db } = parseRedisUrl(settings.url)
  if (db === 0 || settings.cluster.length > 0) return []
  const problems: RedisProblem[] = []
  for (const lane of primaries) {
    const [reply] = await lane.send([{ name: 'SELECT', args: [db] }])
    if (reply instanceof Error)
      problems.push(error(`REDIS_URL names database ${db}, which ${lane.label} does not let us use: ${reply.message}`))
  }
  return problems
}

function checkClocks(connection: RedisConnection): RedisProblem[] {
  const problems: RedisProblem[] = []
  const offsetMs = connection.clockOffsetMs
  if (Math.abs(offsetMs) > CLOCK_TOLERANCE_MS)
    problems.push(
      warning(
        `Redis' clock is ${seconds(Math.abs(offsetMs))} ${offsetMs > 0 ? 'ahead of' : 'behind'} this machine's; ` +
          'set both by NTP, so that times in logs and records can be compared',
      ),
    )
  const times = connection.primaries.map(({ clock }) => clock.nowMs())
  const apartMs = Math.max(...times) - Math.min(...times)
  if (apartMs > CLUSTER_CLOCK_TOLERANCE_MS)
    problems.push(error(`the clocks of the Cluster's servers are ${seconds(apartMs)} apart; set them by NTP`))
  return problems
}

async function checkPermissions(connection: RedisConnection): Promise<RedisProblem[]> {
  const { keys, settings } = connection
  const user = parseRedisUrl(settings.url).username ?? 'default'
  const remedy = `allow it: ACL SETUSER ${user} ~${settings.prefix}* +@read +@write +@scripting +@connection +wait +info +time`
  try {
    const forbidden = await connection.run({ script: FORBIDDEN, keys: [keys.epoch()], args: NEEDED })
    if (!Array.isArray(forbidden) || forbidden.length === 0) return []
    return [
      error(`the Redis user "${user}" may not run ${forbidden.join(', ')} on keys "${settings.prefix}*"; ${remedy}`),
    ]
  } catch (failure) {
    const { message } = failure as Error
    if (/NOPERM/.test(message)) return [error(`the Redis user "${user}" may not run scripts (${message}); ${remedy}`)]
    throw failure
  }
}

async function checkServerKey(connection: RedisConnection, publicKey: Uint8Array): Promise<RedisProblem[]> {
  const ours = Buffer.from(publicKey).toString('base64')
  const stored = await claimServerKey(connection, ours)
  if (stored === ours) return []
  return [
    error(
      `this server's public key is ${ours}, but the servers in this Redis have ${stored}; give all the same key pair, ` +
        'or this one another REDIS_PREFIX',
    ),
  ]
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

function error(text: string): RedisProblem {
  return { severity: 'error', text }
}

function warning(text: string): RedisProblem {
  return { severity: 'warning', text }
}
