import { describe, expect, it } from '@jest/globals'
import { ConfigError } from './config-error.ts'
import { parseToolConfig, readFolderConfig, redisFlags } from './tool-config.ts'

const files = (content: Record<string, string>) => (path: string) => content[path]

describe('the settings of a tool', () => {
  it('come from flags, then .env in the working directory, then the environment, as those of the servers', () => {
    const env = { REDIS_URL: 'redis://environment', REDIS_PREFIX: 'environment:', 'redis-sentinel-name': 'other' }
    const readFile = files({ '/srv/.env': 'REDIS_URL=redis://file\nREDIS_PREFIX=file:\n' })
    const flags = new Map([['--redis-url', 'redis://flag']])
    expect(parseToolConfig(flags, { env, cwd: '/srv', readFile })).toMatchObject({
      redisUrl: 'redis://flag',
      redisPrefix: 'file:',
      redisSentinelName: 'other',
    })
  })

  it('may keep the URL in a file of its own', () => {
    const flags = new Map([['--redis-url-file', '/run/url']])
    const readFile = files({ '/run/url': 'redis://:secret@host\n' })
    expect(parseToolConfig(flags, { env: {}, cwd: '/srv', readFile }).redisUrl).toBe('redis://:secret@host')
  })

  it('do not care how many workers a server is to have', () => {
    const input = { env: { WORKERS: '4', REUSE_PORT: 'Y' }, cwd: '/srv', readFile: files({}) }
    expect(parseToolConfig(new Map(), input).redisUrl).toBeUndefined()
  })

  it('are all told when they are wrong, without what is secret', () => {
    const env = { REDIS_URL: 'http://:secret@host', REDIS_PREFIX: '{x}' }
    const parse = () => parseToolConfig(new Map(), { env, cwd: '/srv', readFile: files({}) })
    expect(parse).toThrow(ConfigError)
    expect(parse).toThrow(/REDIS_URL .*REDIS_PREFIX=\{x\}/s)
    expect(parse).not.toThrow(/secret/)
  })

  it('are flags of one sentence each', () => {
    expect(redisFlags.map(({ flag }) => flag)).toEqual([
      '--redis-url',
      '--redis-url-file',
      '--redis-sentinels',
      '--redis-sentinel-name',
      '--redis-cluster',
      '--redis-prefix',
    ])
    for (const { meaning } of redisFlags) expect(meaning).toMatch(/^[A-Z][^`]*[A-Za-z]$/)
  })
})

describe("the settings of a server's folder", () => {
  it('are those of its .env', () => {
    const readFile = files({ '/data/.env': 'DB_URL=sqlite://devices.sqlite3\nKEY_FILE=key\n', '/data/key': 'a text' })
    expect(readFolderConfig('/data', readFile)).toEqual({ dbPath: 'devices.sqlite3', key: 'a text' })
  })

  it('are the defaults without one', () => {
    expect(readFolderConfig('/data', files({}))).toEqual({ dbPath: './db_v2.sqlite3', key: '-' })
  })
})
