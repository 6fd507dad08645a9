import { describe, expect, it } from '@jest/globals'
import { clusterProblems, redisPlace } from './cluster-settings.ts'
import { ConfigError } from './config-error.ts'
import { type ParsedConfig, parseHbbrConfig, parseHbbsConfig, parseStandaloneConfig } from './parse-config.ts'

type Variables = Readonly<Record<string, string>>

function parsed<Config>(parse: (input: Parameters<typeof parseHbbsConfig>[0]) => ParsedConfig<Config>, env: Variables) {
  const result = parse({ argv: [], env, cwd: '/', readFile: () => undefined, version: '0' })
  if (result.kind !== 'run') throw new Error('expected a configuration')
  return result
}

function remediesFor(parse: () => unknown): readonly string[] {
  try {
    parse()
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ setting, remedy }) => `${setting}: ${remedy}`)
    throw error
  }
  return []
}

describe('where the shared Redis is', () => {
  it('is nowhere unless it is named', () => {
    expect(redisPlace(parsed(parseHbbsConfig, {}).config)).toBeUndefined()
  })

  it('is one Redis, or what sentinels or a cluster say', () => {
    const place = (env: Variables) => redisPlace(parsed(parseHbbrConfig, env).config)
    const url = 'rediss://tryst:secret@redis.example:6380/2'
    expect(place({ REDIS_URL: url })).toEqual({ kind: 'single', url })
    expect(place({ REDIS_URL: url, REDIS_SENTINELS: 's1,[2001:db8::7]:7', REDIS_SENTINEL_NAME: 'main' })).toEqual({
      kind: 'sentinel',
      url,
      sentinels: [
        { host: 's1', port: 26_379 },
        { host: '2001:db8::7', port: 7 },
      ],
      name: 'main',
    })
    expect(place({ REDIS_CLUSTER: 'c1:7000' })).toEqual({
      kind: 'cluster',
      url: undefined,
      nodes: [{ host: 'c1', port: 7_000 }],
    })
  })

  it('is not told with a wrong address, which may hold a password', () => {
    for (const wrong of ['localhost:6379', 'http://redis', 'redis:///7', 'redis://host/name']) {
      const [remedy] = remediesFor(() => parsed(parseHbbsConfig, { REDIS_URL: wrong }))
      expect(remedy).toMatch(/^REDIS_URL: .*use redis:\/\//)
      expect(remedy).not.toContain(wrong)
    }
  })
})

describe('settings of several nodes', () => {
  it('are refused together with their remedies', () => {
    const env = { WORKERS: '2', REUSE_PORT: 'Y', REDIS_PREFIX: 'a{b}' }
    expect(remediesFor(() => parsed(parseHbbsConfig, env))).toEqual([
      expect.stringContaining('WORKERS=2: workers share their devices in Redis: set REDIS_URL'),
      expect.stringContaining('REUSE_PORT=Y: '),
      expect.stringContaining('REDIS_PREFIX=a{b}: '),
    ])
    const both = { REDIS_SENTINELS: 's', REDIS_CLUSTER: 'c' }
    expect(remediesFor(() => parsed(parseHbbrConfig, both))).toEqual([
      expect.stringContaining('REDIS_SENTINELS, REDIS_CLUSTER: both are set'),
    ])
  })

  it('are fine with a Redis', () => {
    const { config } = parsed(parseHbbsConfig, { REDIS_URL: 'redis://r', WORKERS: '4', REUSE_PORT: 'Y' })
    expect(clusterProblems(config)).toEqual([])
    expect(config).toMatchObject({ workers: 4, reusePort: true, nodeLeaseMs: 6_000, redisPrefix: 'tryst:' })
  })

  it('let a relay demand tickets only where there are some', () => {
    expect(remediesFor(() => parsed(parseHbbrConfig, { RELAY_REQUIRE_TICKET: 'Y' }))).toEqual([
      expect.stringContaining('RELAY_REQUIRE_TICKET=Y: tickets come from the ID servers through Redis'),
    ])
    const { config } = parsed(parseHbbrConfig, { RELAY_REQUIRE_TICKET: 'Y', REDIS_URL: 'redis://r' })
    expect(config.requireTicket).toBe(true)
    expect(parsed(parseStandaloneConfig, { RELAY_REQUIRE_TICKET: 'Y' }).config.hbbr.requireTicket).toBe(true)
  })

  it('name relays by network', () => {
    const { config } = parsed(parseHbbsConfig, { RELAY_RULES: '192.168.0.0/16=192.168.1.5:21117, ::1=[::1]:21117' })
    expect(config.relayRules).toEqual([
      { cidr: '192.168.0.0/16', relay: '192.168.1.5:21117' },
      { cidr: '::1/128', relay: '[::1]:21117' },
    ])
    for (const wrong of ['192.168.0.0=', '=relay', 'lan=relay:1']) {
      expect(remediesFor(() => parsed(parseHbbsConfig, { RELAY_RULES: wrong }))).toHaveLength(1)
    }
  })
})

describe('NODE_ADDRESS', () => {
  it('is an address that other nodes can connect to', () => {
    for (const host of ['0.0.0.0', '[::]'])
      expect(remediesFor(() => parsed(parseHbbsConfig, { NODE_ADDRESS: `${host}:21130` }))).toEqual([
        expect.stringContaining('name the address at which they reach this machine'),
      ])
  })
})

describe('npm start with a Redis in its environment', () => {
  it('keeps to its data folder, and says so', () => {
    const { config, warnings } = parsed(parseStandaloneConfig, { REDIS_URL: 'redis://r' })
    expect(redisPlace(config.hbbs)).toBeUndefined()
    expect(redisPlace(config.hbbr)).toBeUndefined()
    expect(warnings).toEqual([expect.stringContaining('REDIS_URL is not used')])
  })
})
