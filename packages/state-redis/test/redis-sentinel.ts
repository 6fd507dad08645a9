import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import {
  freePort,
  type OwnRedis,
  startRedisServer,
  untilListening,
  untilReplicating,
  whyNoRedisServer,
} from './redis-server.ts'
import { until } from './until.ts'

/** A primary, two replicas and a Sentinel that fails over after a second and a half. */
export interface SentinelGroup {
  readonly primary: OwnRedis
  readonly replicas: readonly OwnRedis[]
  readonly sentinelPort: number
  stop(): Promise<void>
}

export const MASTER = 'tryst-test'

/** Undefined where tests with Sentinel can run; else why not, and what to do about it. */
export const whyNoSentinel =
  whyNoRedisServer ??
  (spawnSync('redis-sentinel', ['--version']).status === 0
    ? undefined
    : 'there is no redis-sentinel on the PATH; install the package redis-sentinel')

export async function startSentinelGroup(): Promise<SentinelGroup> {
  const primary = await startRedisServer()
  const replicas = [
    await startRedisServer('--replicaof', '127.0.0.1', `${primary.port}`),
    await startRedisServer('--replicaof', '127.0.0.1', `${primary.port}`),
  ]
  await untilReplicating(primary, replicas.length)
  const folder = mkdtempSync(join(tmpdir(), 'tryst-sentinel-'))
  const sentinelPort = await freePort()
  const lines = [
    `port ${sentinelPort}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor ${MASTER} 127.0.0.1 ${primary.port} 1`,
    `sentinel down-after-milliseconds ${MASTER} 1500`,
    `sentinel failover-timeout ${MASTER} 5000`,
  ]
  writeFileSync(join(folder, 'sentinel.conf'), lines.join('\n'))
  const child = spawn('redis-sentinel', [join(folder, 'sentinel.conf')], { stdio: 'ignore' })
  await untilListening(sentinelPort, child)
  const sentinel = new Redis(sentinelPort)
  await until(async () => {
    const known = (await sentinel.call('SENTINEL', 'REPLICAS', MASTER)) as unknown[]
    return known.length === replicas.length
  }, 'the Sentinel knows the replicas')
  sentinel.disconnect()
  return {
    primary,
    replicas,
    sentinelPort,
    stop: async () => {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
      rmSync(folder, { recursive: true, force: true })
      await primary.stop()
      for (const replica of replicas) await replica.stop()
    },
  }
}
