import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { redisSettings } from './redis-fixture.ts'
import { freePort, type OwnRedis, startRedisServer, whyNoRedisServer } from './redis-server.ts'

const whyNoTls =
  whyNoRedisServer ??
  (spawnSync('openssl', ['version']).status === 0
    ? undefined
    : 'there is no openssl on the PATH; install the package openssl')

const [suite, name] = whyNoTls ? [describe.skip, `Redis over TLS (skipped: ${whyNoTls})`] : [describe, 'Redis over TLS']

const OPEN = `
  import { RedisConnection } from '@tryst/state-redis'
  const opening = RedisConnection.open(JSON.parse(process.argv[1]), { timeoutMs: 2000 })
  opening.then((connection) => { console.log(connection.state); connection.close() }, ({ message }) => console.log(message))`

suite(name, () => {
  let folder: string
  let port: number
  let server: OwnRedis

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tryst-tls-'))
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
    const self = [
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=DNS:localhost',
      '-keyout',
      key,
      '-out',
      certificate,
    ]
    spawnSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...self])
    port = await freePort()
    const tls = ['--tls-port', `${port}`, '--tls-cert-file', certificate, '--tls-key-file', key]
    server = await startRedisServer(...tls, '--tls-ca-cert-file', certificate, '--tls-auth-clients', 'no')
  })

  afterAll(async () => {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  /** Node reads NODE_EXTRA_CA_CERTS only when it starts. */
  function open(url: string, trusted?: string): string {
    const settings = JSON.stringify(redisSettings(url))
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', OPEN, settings], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      env: { ...process.env, ...(trusted ? { NODE_EXTRA_CA_CERTS: join(folder, trusted) } : {}) },
    })
    return stdout.trim()
  }

  it('is used where the certificate is known', () => {
    expect(open(`rediss://localhost:${port}`, 'certificate.pem')).toBe('up')
  })

  it('is refused where the certificate is not known, or made out to another name', () => {
    expect(open(`rediss://localhost:${port}`)).toMatch(/self-signed certificate.*NODE_EXTRA_CA_CERTS/)
    expect(open(`rediss://127.0.0.1:${port}`, 'certificate.pem')).toMatch(/127\.0\.0\.1.*NODE_EXTRA_CA_CERTS/)
  })

  it('is asked for where it is missing', () => {
    expect(open(`redis://localhost:${port}`)).toMatch(/see whether it wants TLS \(rediss:\/\/\)/)
  })
})
