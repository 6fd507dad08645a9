import { describe, expect, it } from '@jest/globals'
import { parseStandaloneConfig } from '@tryst/service'
import { serviceArguments } from './service-arguments.ts'

function argumentsFor(argv: readonly string[], env: Record<string, string> = {}, dotEnv?: string) {
  const parsed = parseStandaloneConfig({ argv, env, cwd: '/srv', readFile: () => dotEnv, version: '0' })
  if (parsed.kind !== 'run') throw new Error('expected a configuration')
  return serviceArguments(argv, parsed.config)
}

const withoutRedis = ['--redis-url=', '--redis-sentinels=', '--redis-cluster=']

describe('the arguments of the programs', () => {
  it('give the relay its port and the key of the folder by default', () => {
    const { hbbs, hbbr } = argumentsFor([])
    expect(hbbs).toEqual(['--metrics-bind', '127.0.0.1:21120?', ...withoutRedis])
    expect(hbbr).toEqual(['-p', '21117', '-k', '_', '--metrics-bind', '127.0.0.1:21121?', ...withoutRedis])
  })

  it('hand on what npm start was told, all but the folder', () => {
    const { hbbs, hbbr } = argumentsFor([
      '--data-dir',
      'x',
      '-p',
      '30000',
      '-r',
      'relay.example.com',
      '-b',
      '127.0.0.1',
    ])
    expect(hbbs.slice(0, 6)).toEqual(['-p', '30000', '-r', 'relay.example.com', '-b', '127.0.0.1'])
    expect(hbbr.slice(0, 6)).toEqual(['-p', '30001', '-k', '_', '-b', '127.0.0.1'])
  })

  it.each([[['-k', 'secret']], [['-k=secret']], [['--key=secret']]])('give both the key of %j', (argv) => {
    const { hbbs, hbbr } = argumentsFor(argv)
    expect(hbbs.slice(0, argv.length)).toEqual(argv)
    expect(hbbr.slice(2, 4)).toEqual(['-k', 'secret'])
  })

  it('never show a key that comes from a file or the environment', () => {
    expect(argumentsFor([], { KEY: 'secret' }).hbbr).not.toContain('secret')
    expect(argumentsFor([], {}, 'KEY=secret\n').hbbr).not.toContain('secret')
  })

  it('give each a port of its own for metrics that the operator chose', () => {
    const { hbbs, hbbr } = argumentsFor([], {}, 'METRICS_BIND=:9100\n')
    expect(hbbs).toEqual(['--metrics-bind', '[::]:9100', ...withoutRedis])
    expect(hbbr.slice(2)).toEqual(['-k', '_', '--metrics-bind', '[::]:9101', ...withoutRedis])
  })

  it('give the API its port, and what it shares with the ID server', () => {
    expect(argumentsFor([]).api).toEqual(['-p', '21114', '--metrics-bind', '127.0.0.1:21122?'])
    const { hbbs, api } = argumentsFor(['-p', '30000', '-k', 'k', '-b', '192.0.2.1', '--public-host=h.example.com'])
    expect(api?.slice(0, 7)).toEqual(['-p', '29998', '-k', 'k', '-b', '192.0.2.1', '--public-host=h.example.com'])
    expect(hbbs).toContain('--api-url=http://192.0.2.1:29998')
  })

  it('start no API where another one is named, or none', () => {
    expect(argumentsFor([], { API_URL: 'none' }).api).toBeUndefined()
    expect(argumentsFor(['--api-url', 'http://192.0.2.1:21114']).api).toBeUndefined()
  })
})
