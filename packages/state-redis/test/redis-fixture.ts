import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import type { RedisSettings } from '../src/settings.ts'
import { startRedisServer, whyNoRedisServer } from './redis-server.ts'

/** A Redis for tests; what they write begins with a prefix of their own. */
export interface TestRedis {
  readonly url: string
  /** Settings with a prefix that nobody else uses. */
  settings(changes?: Partial<RedisSettings>): RedisSettings
  /** Removes what was written under the prefixes that were handed out. */
  stop(): Promise<void>
}

const DOCKER_ANSWERS_WITHIN_MS = 3_000
const IMAGE = 'redis:8'

const givenUrl = process.env.REDIS_URL
const hasEngine =
  !givenUrl && spawnSync('docker', ['version'], { timeout: DOCKER_ANSWERS_WITHIN_MS, stdio: 'ignore' }).status === 0

/** Undefined where tests with Redis can run; else why not, and what to do about it. */
export const whyNoRedis =
  givenUrl || hasEngine || whyNoRedisServer === undefined
    ? undefined
    : 'no REDIS_URL is given, no container engine answers and there is no redis-server on the PATH; install the package redis-server'

/** The Redis of REDIS_URL, else one in a container, else `redis-server`. */
export async function startTestRedis(): Promise<TestRedis> {
  const { url, stop } = givenUrl ? { url: givenUrl, stop: async () => {} } : await startOwn()
  const prefixes: string[] = []
  return {
    url,
    settings: (changes = {}) => {
      const prefix = `tryst-test-${randomBytes(6).toString('hex')}:`
      prefixes.push(prefix)
      return redisSettings(url, { prefix, ...changes })
    },
    stop: async () => {
      if (givenUrl) await removeKeys(url, prefixes)
      await stop()
    },
  }
}

export function redisSettings(url: string, changes: Partial<RedisSettings> = {}): RedisSettings {
  const defaults = { sentinels: [], sentinelName: 'mymaster', cluster: [], prefix: 'tryst:', nodeLeaseMs: 6_000 }
  return { url, ...defaults, ...changes }
}

async function startOwn(): Promise<{ url: string; stop: () => Promise<void> }> {
  if (!hasEngine) return startRedisServer()
  try {
    return await startContainer()
  } catch (error) {
    // An engine that can't get the image is no better than none.
    if (whyNoRedisServer !== undefined) throw error
    return startRedisServer()
  }
}

async function startContainer(): Promise<{ url: string; stop: () => Promise<void> }> {
  process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true'
  process.env.TESTCONTAINERS_HOST_OVERRIDE ??= '127.0.0.1'
  const { GenericContainer } = await import('testcontainers')
  const container = await new GenericContainer(IMAGE)
    .withCommand(['redis-server', '--appendonly', 'yes'])
    .withExposedPorts(6379)
    .start()
  return {
    url: `redis://127.0.0.1:${container.getMappedPort(6379)}`,
    stop: async () => {
      await container.stop()
    },
  }
}

async function removeKeys(url: string, prefixes: readonly string[]): Promise<void> {
  const redis = new Redis(url)
  for (const prefix of prefixes)
    for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 500 }))
      if (keys.length > 0) await redis.unlink(...keys)
  redis.disconnect()
}
