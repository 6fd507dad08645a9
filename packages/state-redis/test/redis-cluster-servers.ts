import { Redis } from 'ioredis'
import type { RedisAddress } from '../src/settings.ts'
import { type OwnRedis, startRedisServer } from './redis-server.ts'
import { until } from './until.ts'

/** A Redis Cluster of three primaries, on request with a replica of the first. */
export interface ClusterServers {
  readonly primaries: readonly OwnRedis[]
  readonly replica: OwnRedis | undefined
  readonly addresses: readonly RedisAddress[]
  stop(): Promise<void>
}

const RANGES = [
  [0, 5460],
  [5461, 10_922],
  [10_923, 16_383],
] as const
const FAST = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1500', '--cluster-require-full-coverage', 'no']

async function ask(server: OwnRedis, ...command: (string | number)[]): Promise<string> {
  const redis = new Redis(server.url)
  try {
    return String(await redis.call(...(command as [string])))
  } finally {
    redis.disconnect()
  }
}

export async function startRedisCluster({ withReplica = false } = {}): Promise<ClusterServers> {
  const primaries = await Promise.all(RANGES.map(() => startRedisServer(...FAST)))
  const replica = withReplica ? await startRedisServer(...FAST) : undefined
  const [first] = primaries
  if (!first) throw new Error('no primary')
  for (const [index, server] of primaries.entries())
    await ask(server, 'CLUSTER', 'ADDSLOTSRANGE', ...(RANGES[index] ?? []))
  for (const server of [...primaries.slice(1), ...(replica ? [replica] : [])])
    await ask(server, 'CLUSTER', 'MEET', '127.0.0.1', first.port)
  for (const server of primaries)
    await until(async () => {
      const info = await ask(server, 'CLUSTER', 'INFO')
      return info.includes('cluster_state:ok') && info.includes('cluster_slots_assigned:16384')
    }, 'the Cluster is formed')
  if (replica) {
    const id = await ask(first, 'CLUSTER', 'MYID')
    await until(async () => (await ask(replica, 'CLUSTER', 'NODES')).includes(id), 'the replica knows the primary')
    await ask(replica, 'CLUSTER', 'REPLICATE', id)
    await until(
      async () => (await ask(first, 'INFO', 'replication')).includes('state=online'),
      'the replica has joined',
    )
  }
  return {
    primaries,
    replica,
    addresses: primaries.map(({ port }) => ({ host: '127.0.0.1', port })),
    stop: async () => {
      for (const server of [...primaries, ...(replica ? [replica] : [])]) await server.stop()
    },
  }
}
