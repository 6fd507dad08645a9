import { afterEach, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { checkRedis, RedisConnection, type RedisProblem, RedisUnreachableError } from '../src/index.ts'
import { filled } from './devices.ts'
import { redisSettings } from './redis-fixture.ts'
import { type OwnRedis, startRedisServer, whyNoRedisServer } from './redis-server.ts'

const [suite, name] = whyNoRedisServer
  ? [describe.skip, `what is looked at in Redis at start (skipped: ${whyNoRedisServer})`]
  : [describe, 'what is looked at in Redis at start']

suite(name, () => {
  const servers: OwnRedis[] = []
  const publicKey = filled(32, 7)

  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop()
  })

  async function start(...options: string[]): Promise<OwnRedis> {
    const server = await startRedisServer(...options)
    servers.push(server)
    return server
  }

  async function check(url: string, { key = publicKey, prefix = 'tryst:' } = {}): Promise<RedisProblem[]> {
    const connection = await RedisConnection.open(redisSettings(url, { prefix }), { timeoutMs: 2_000 })
    try {
      return await checkRedis(connection, { publicKey: key })
    } finally {
      connection.close()
    }
  }

  async function configure(server: OwnRedis, ...command: string[]): Promise<void> {
    const redis = new Redis(server.url)
    await redis.call(...(command as [string]))
    redis.disconnect()
  }

  const error = (pattern: RegExp) => ({ severity: 'error', text: expect.stringMatching(pattern) })
  const warning = (pattern: RegExp) => ({ severity: 'warning', text: expect.stringMatching(pattern) })

  it('has nothing to say against a Redis as it should be', async () => {
    expect(await check((await start()).url)).toEqual([])
  })

  it('calls it an error when identities would be evicted, or lost at a restart', async () => {
    const server = await start('--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru', '--appendonly', 'no')
    expect(await check(server.url)).toEqual([
      error(/maxmemory-policy allkeys-lru .* identities .*; set maxmemory-policy noeviction/),
      error(/no append-only file .*; set appendonly yes/),
    ])
  })

  it('calls it an error when the named database does not exist, since another one would be used', async () => {
    const { url } = await start()
    expect(await check(`${url}/15`)).toEqual([])
    expect(await check(`${url}/99`)).toEqual([error(/names database 99, .*out of range/)])
  })

  it('warns where nothing of worth is lost', async () => {
    const server = await start('--maxmemory-policy', 'volatile-lru', '--appendfsync', 'no')
    expect(await check(server.url)).toEqual([
      warning(/maxmemory-policy volatile-lru; set/),
      warning(/set appendfsync everysec or always/),
    ])
  })

  it('names both keys when the servers in this Redis have another one', async () => {
    const { url } = await start()
    expect(await check(url)).toEqual([])
    expect(await check(url)).toEqual([])
    const [ours, theirs] = [filled(32, 8), publicKey].map((key) => Buffer.from(key).toString('base64'))
    const [problem, ...others] = await check(url, { key: filled(32, 8) })
    expect(others).toEqual([])
    expect(problem?.severity).toBe('error')
    expect(problem?.text).toContain(`public key is ${ours}, but the servers in this Redis have ${theirs}`)
    expect(await check(url, { key: filled(32, 8), prefix: 'other:' })).toEqual([])
  })

  it('names the commands that the user may not send, and the line that allows them', async () => {
    const server = await start()
    await configure(server, 'ACL', 'SETUSER', 'tryst', 'on', '>secret', '~*', '+@all', '-wait', '-zadd', '-config')
    const url = server.url.replace('//', '//tryst:secret@')
    expect(await check(url)).toEqual([
      warning(/does not let us read its settings \(CONFIG\)/),
      error(/user "tryst" may not run WAIT, ZADD .*; allow it: ACL SETUSER tryst ~tryst:\*/),
    ])
  })

  it('is content with a user that has what the message asks for', async () => {
    const server = await start()
    const rights = '~tryst:* +@read +@write +@scripting +@connection +wait +info +time'.split(' ')
    await configure(server, 'ACL', 'SETUSER', 'tryst', 'on', '>secret', ...rights)
    expect(await check(server.url.replace('//', '//tryst:secret@'))).toEqual([warning(/CONFIG/)])
  })

  it.each([
    ['a wrong password', [], '//tryst:wrong@', /WRONGPASS.*; correct user and password in REDIS_URL/],
    ['no password where one is needed', ['--requirepass', 'secret'], '//', /NOAUTH.*; correct user and password/],
    ['a server of a Cluster', ['--cluster-enabled', 'yes'], '//', /belongs to a Redis Cluster; name .* REDIS_CLUSTER/],
    ['a replica', ['--replicaof', '127.0.0.1', '1'], '//', /is a replica, not the primary; name the primary/],
  ])('says what to do about %s', async (_, options, credentials, message) => {
    const server = await start(...options)
    const opening = check(server.url.replace('//', credentials))
    await expect(opening).rejects.toThrow(RedisUnreachableError)
    await expect(opening).rejects.toThrow(message)
    await expect(opening).rejects.not.toThrow(/wrong@/)
  })

  it('says that there is no Cluster where one was named', async () => {
    const { port, url } = await start()
    const settings = redisSettings(url, { cluster: [{ host: '127.0.0.1', port }] })
    await expect(RedisConnection.open(settings, { timeoutMs: 1_000 })).rejects.toThrow(
      /cluster support disabled.*; unset REDIS_CLUSTER/,
    )
  })
})
