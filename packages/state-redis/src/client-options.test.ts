import { describe, expect, it } from '@jest/globals'
import { clientOptions, parseRedisUrl } from './client-options.ts'

describe('REDIS_URL', () => {
  it('says where Redis is and who asks', () => {
    expect(parseRedisUrl('redis://cache.example')).toEqual({
      ...{ host: 'cache.example', port: 6379, username: undefined, password: undefined, db: 0, isTls: false },
    })
    expect(parseRedisUrl('rediss://tryst:p%40ss%3Aword@[2001:db8::1]:6390/3')).toEqual({
      ...{ host: '2001:db8::1', port: 6390, username: 'tryst', password: 'p@ss:word', db: 3, isTls: true },
    })
    expect(parseRedisUrl('redis://:secret@cache.example')).toMatchObject({ username: undefined, password: 'secret' })
  })

  it.each([
    ['cache.example:6379', /write redis:\/\//],
    ['http://cache.example', /begins with http:.*; write redis:\/\//],
    ['redis://:secret@cache.example/devices', /ends with "\/devices", which is no number/],
    ['redis://:secret@cache.example:99999', /is no URL/],
  ])('is refused when it is %s, without telling the password', (url, message) => {
    expect(() => parseRedisUrl(url)).toThrow(message)
    expect(() => parseRedisUrl(url)).not.toThrow(/secret/)
  })
})

describe('connections to Redis', () => {
  const settings = {
    url: 'rediss://tryst:secret@cache.example/2',
    sentinels: [{ host: 's1', port: 26_379 }],
    sentinelName: 'main',
    cluster: [],
    prefix: 'tryst:',
    nodeLeaseMs: 6_000,
  }

  it('keep nothing for later and send nothing twice', () => {
    for (const sentinels of [settings.sentinels, []])
      expect(clientOptions({ ...settings, sentinels }, 'test')).toMatchObject({
        ...{ enableOfflineQueue: false, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0 },
        ...{ username: 'tryst', password: 'secret', db: 2, tls: {} },
      })
  })

  it('go to the primary that Sentinels name', () => {
    const options = clientOptions(settings, 'test')
    expect(options).toMatchObject({ sentinels: [{ host: 's1', port: 26_379 }], name: 'main', role: 'master' })
    expect(options.host).toBeUndefined()
  })
})
