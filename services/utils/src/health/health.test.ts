import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { encodeBase64 } from '@tryst/protocol'
import { generateSecretKey, publicHalf } from '@tryst/service'
import { checkHealth } from './health.ts'
import { type RunningService, runningServices } from './running-service.ts'
import { serviceAddress } from './service-address.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tryst-health-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** A process as /proc shows it. */
function addProcess(pid: number, words: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const path = join(folder, 'proc', `${pid}`)
  mkdirSync(path, { recursive: true })
  writeFileSync(join(path, 'cmdline'), words.map((word) => `${word}\0`).join(''))
  writeFileSync(
    join(path, 'environ'),
    Object.entries(env)
      .map(([name, value]) => `${name}=${value}\0`)
      .join(''),
  )
  symlinkSync(folder, join(path, 'cwd'))
}

const found = () => runningServices(join(folder, 'proc'))

describe('the services that run here', () => {
  it('are known by their programs, with what they were started with', () => {
    addProcess(1, ['/sbin/docker-init', '--', 'docker-entrypoint.sh', 'hbbs'])
    addProcess(7, ['node', '/usr/local/bin/hbbs', '-p', '30000'], { KEY: '_' })
    addProcess(8, ['/usr/bin/node', '--import', '/x/exit.js', '/opt/services/hbbr/bin/hbbr', '-k', '_'])
    addProcess(9, ['sh', '-c', 'cat /opt/services/api/bin/api'])
    expect(found()).toEqual([
      { name: 'hbbs', argv: ['-p', '30000'], env: { KEY: '_' }, folder },
      { name: 'hbbr', argv: ['-k', '_'], env: {}, folder },
    ])
  })

  it('are known behind an emulator of another processor, whatever it is called with', () => {
    addProcess(7, ['/usr/bin/qemu-aarch64-static', '/usr/local/bin/node', '/usr/local/bin/hbbs', '-p', '30000'])
    // As binfmt_misc does it where it keeps the name that the program was called by.
    addProcess(8, ['/usr/libexec/qemu-binfmt/aarch64-binfmt-P', '/usr/local/bin/node', 'node', '/usr/local/bin/hbbr'])
    addProcess(9, ['/usr/bin/qemu-aarch64-static', '/bin/sh', '-c', 'exec node /usr/local/bin/api'])
    expect(found().map(({ name, argv }) => [name, argv])).toEqual([
      ['hbbs', ['-p', '30000']],
      ['hbbr', []],
    ])
  })

  it('are each the first of their kind, which has workers', () => {
    addProcess(30, ['node', '/usr/local/bin/hbbs', '--second'])
    addProcess(4, ['node', '/usr/local/bin/hbbs', '--first'])
    expect(found().map(({ argv }) => argv)).toEqual([['--first']])
  })

  it('are none where processes cannot be listed', () => {
    expect(runningServices(join(folder, 'nowhere'))).toEqual([])
  })
})

describe('where a service answers', () => {
  const addressOf = (service: Partial<RunningService>) =>
    serviceAddress({ name: 'hbbs', argv: [], env: {}, folder, ...service })

  it.each<[string, Partial<RunningService>, number]>([
    ['the usual port', {}, 21_116],
    ['the port of the flag', { argv: ['-p', '30000'] }, 30_000],
    ['the port of the flag in one word', { argv: ['--port=30000'] }, 30_000],
    ['the port of the variable', { env: { PORT: '30000' } }, 30_000],
    ['the flag before the variable', { argv: ['-p30000'], env: { PORT: '1' } }, 30_000],
    ["the relay's usual port", { name: 'hbbr' }, 21_117],
    ["the port behind the ID server's, for a relay", { name: 'hbbr', env: { PORT: '30000' } }, 30_001],
    ["the relay's own port by flag", { name: 'hbbr', argv: ['-p', '30000'] }, 30_000],
    ["the second port below the ID server's, for the API", { name: 'api', env: { PORT: '30000' } }, 29_998],
  ])('is %s', (_, service, port) => expect(addressOf(service).port).toBe(port))

  it('is what .env says, before the environment', () => {
    writeFileSync(join(folder, '.env'), 'port=30000\n')
    expect(addressOf({ env: { PORT: '1' } }).port).toBe(30_000)
  })

  it('is the address of --bind, and not loopback where that has the console', () => {
    expect(addressOf({ argv: ['-b', '192.0.2.7'] }).host).toBe('192.0.2.7')
    expect(addressOf({ argv: ['-b', '0.0.0.0'] }).host).toBe('127.0.0.1')
    expect(addressOf({ env: { CONSOLE: 'Y', BIND: '::1' } }).host).toBe('::1')
  })

  it('asks for the public key of the key files, or of KEY, or of its file', () => {
    const secretKey = generateSecretKey()
    const [text, key] = [encodeBase64(secretKey), encodeBase64(publicHalf(secretKey))]
    writeFileSync(join(folder, 'id_ed25519'), `${text}\n`)
    expect(addressOf({ argv: ['-k', '_'] })).toMatchObject({ key, secretKey })
    expect(addressOf({})).toMatchObject({ key: '', secretKey })
    expect(addressOf({ env: { KEY: text } })).toMatchObject({ key, secretKey })
    expect(addressOf({ env: { KEY_FILE: 'id_ed25519' } })).toMatchObject({ key, secretKey })
    expect(addressOf({ env: { KEY: 'letmein' } })).toMatchObject({ key: 'letmein', secretKey: undefined })
  })
})

describe('health', () => {
  it('is bad where nothing runs, or not what was asked for', async () => {
    expect(await checkHealth([], [])).toEqual({ output: 'none of hbbs, hbbr, api runs here\n', status: 1 })
    expect(await checkHealth(['api'], [])).toEqual({ output: 'api: does not run here\n', status: 1 })
    expect(await checkHealth(['hbbx'], [])).toMatchObject({ status: 1, output: expect.stringContaining("'hbbx'") })
  })

  it('is bad where nobody answers, with the reason', async () => {
    // Ports of reserved numbers: nobody listens there.
    const service = (name: RunningService['name']) => ({ name, argv: ['-p', '5'], env: {}, folder })
    const { output, status } = await checkHealth([], [service('hbbs'), service('hbbr'), service('api')])
    expect(status).toBe(1)
    expect(output.trim().split('\n')).toEqual([
      expect.stringMatching(/^hbbs: .*ECONNREFUSED/),
      expect.stringMatching(/^hbbr: .*ECONNREFUSED/),
      expect.stringMatching(/^api: .*ECONNREFUSED/),
    ])
  })
})
