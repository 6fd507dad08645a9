import { createHash, X509Certificate } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { decodeClientConfig, encodeBase64 } from '@tryst/protocol'
import { generateSecretKey, publicHalf } from '@tryst/service'
import { makeCertificate } from './certificate.ts'
import { whyNotTrusted } from './certificate-trust.ts'
import { placeGivenKeys } from './given-keys.ts'
import { runInit } from './init.ts'
import { portBase } from './port-plan.ts'

const DAY_MS = 86_400_000
const HOST = 'hbbs.example.com'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tryst-init-'))
  for (const name of ['keys', 'secrets', 'redis', 'tls', 'public']) mkdirSync(join(folder, name))
})
afterEach(() => rmSync(folder, { recursive: true }))

const at = (path: string) => join(folder, path)
const read = (path: string) => readFileSync(at(path), 'utf8')
const everything = () => [
  ...['--keys', at('keys'), '--secrets', at('secrets'), '--redis', at('redis')],
  ...['--certificates', at('tls'), '--public', at('public')],
]
const init = (env: NodeJS.ProcessEnv = { PUBLIC_HOST: HOST }, nowMs = Date.now()) =>
  runInit({ argv: everything(), env, nowMs })

describe('init', () => {
  it('makes keys, the password of Redis, a certificate, and what the API may know', async () => {
    const { output, status } = await init()
    expect(status).toBe(0)
    const key = read('keys/id_ed25519.pub')
    expect(read('public/id_ed25519.pub')).toBe(key)
    expect(readdirSync(at('public')).sort()).toEqual(['.env', 'id_ed25519.pub'])
    expect(read('public/.env')).toBe('')
    const password = new URL(read('secrets/redis-url')).password
    expect(read('redis/users.acl')).toContain(`#${createHash('sha256').update(password).digest('hex')} `)
    expect(read('redis/users.acl')).not.toContain(password)
    for (const secret of ['keys/id_ed25519', 'secrets/redis-url', 'tls/privkey.pem']) {
      expect(statSync(at(secret)).mode & 0o777).toBe(0o600)
    }
    const [, text = ''] = /^Configuration text: (\S+)$/m.exec(output) ?? []
    expect(decodeClientConfig(text)).toEqual({ host: HOST, key, api: '', relay: '' })
    expect(output).not.toContain(read('keys/id_ed25519').slice(0, 20))
  })

  it('changes nothing when it is repeated', async () => {
    await init()
    const files = ['keys/id_ed25519', 'secrets/redis-url', 'redis/users.acl', 'tls/fullchain.pem', 'tls/privkey.pem']
    const before = files.map(read)
    expect((await init()).status).toBe(0)
    expect(files.map(read)).toEqual(before)
  })

  it('says in one line each that PUBLIC_HOST is not set and that the certificate is self-signed', async () => {
    const { output } = await init({})
    expect(output).toMatch(/^hint: PUBLIC_HOST is not set/m)
    expect(output).toMatch(/^hint: stock clients refuse the certificate \(self-signed\)/m)
    expect(output).not.toContain('Configuration text')
  })

  it.each([
    [{ PUBLIC_HOST: HOST }, `http://${HOST}:21114/`],
    [{ PUBLIC_HOST: '2001:db8::7', PORT_BASE: '30000', PORT_API: '29998' }, 'http://[2001:db8::7]:29998/'],
    [{}, 'http://ADDRESS-OF-THIS-MACHINE:21114/'],
  ])('says where the status page is, with %j', async (env, url) => {
    expect((await init(env)).output.split('\n')).toContain(`Status page: ${url}`)
  })

  it('makes another certificate for another host, and before the old one ends', async () => {
    await init()
    const first = read('tls/fullchain.pem')
    await init({ PUBLIC_HOST: '192.0.2.7' })
    const second = read('tls/fullchain.pem')
    expect(new X509Certificate(second).checkIP('192.0.2.7')).toBe('192.0.2.7')
    await init({ PUBLIC_HOST: '192.0.2.7' }, Date.now() + 800 * DAY_MS)
    expect(new Set([first, second, read('tls/fullchain.pem')]).size).toBe(3)
  })

  it("leaves somebody else's certificate alone", async () => {
    const { chain, key } = await makeCertificate('other.example.com', Date.now())
    writeFileSync(at('tls/fullchain.pem'), chain)
    writeFileSync(at('tls/privkey.pem'), key)
    const { output } = await init()
    expect(read('tls/fullchain.pem')).toBe(chain)
    expect(output).toMatch(
      /^hint: stock clients refuse the certificate \(self-signed certificate in certificate chain\)/m,
    )
  })

  it('tells clients and the API the address that a proxy has', async () => {
    const { output } = await init({ PUBLIC_HOST: HOST, API_PUBLIC_URL: 'https://api.example.com' })
    const [, text = ''] = /^Configuration text: (\S+)$/m.exec(output) ?? []
    expect(decodeClientConfig(text)?.api).toBe('https://api.example.com')
    expect(read('public/.env')).toBe('API_PUBLIC_URL=https://api.example.com\n')
  })

  it('refuses ports that clients would not find, with the lines that are missing', async () => {
    expect(await init({ PORT_BASE: '30000', PORT_RELAY: '21117' })).toEqual({
      output: expect.stringMatching(/^ERROR: .*\.env\nPORT_BASE=30000\nPORT_API=29998\n.*PORT_WS_RELAY=30003\n$/s),
      status: 1,
    })
  })

  it('shows its usage where it has nothing to do, or does not understand', async () => {
    expect(await runInit({ argv: [], env: {}, nowMs: 0 })).toMatchObject({
      status: 1,
      output: expect.stringMatching(/^Usage/),
    })
    expect(await runInit({ argv: ['--frob'], env: {}, nowMs: 0 })).toMatchObject({
      status: 1,
      output: expect.stringContaining("'--frob'"),
    })
  })
})

describe('the ports of a server', () => {
  it.each([
    [{}, 21_116],
    [{ PORT_BASE: '30000', PORT_API: '29998', PORT_RELAY: '30001' }, 30_000],
  ])('fit with %j', (env, port) => expect(portBase(env)).toBe(port))

  it.each(['0', '65533', 'x'])('are none with %s', (base) => {
    expect(() => portBase({ PORT_BASE: base })).toThrow('use a whole number')
  })
})

describe('the certificate that nobody vouches for', () => {
  it.each([HOST, '192.0.2.7', '2001:db8::7'])(
    'is good for %s with those who trust its authority alone',
    async (host) => {
      const made = await makeCertificate(host, Date.now())
      expect(await whyNotTrusted(made, host, [made.authority])).toBeUndefined()
      expect(await whyNotTrusted(made, host)).toContain('self-signed')
      expect(await whyNotTrusted(made, 'other.example.com', [made.authority])).toContain('other.example.com')
    },
  )

  it('is not trusted when it has ended, or has the key of another', async () => {
    const made = await makeCertificate(HOST, Date.now() - 2000 * DAY_MS)
    expect(await whyNotTrusted(made, HOST, [made.authority])).toContain('expired')
    const other = await makeCertificate(HOST, Date.now())
    expect(await whyNotTrusted({ chain: other.chain, key: made.key }, HOST, [other.authority])).toBeDefined()
  })
})

describe('keys that are given', () => {
  const secretKey = generateSecretKey()
  const [pub, priv] = [encodeBase64(publicHalf(secretKey)), encodeBase64(secretKey)]
  const place = (env: NodeJS.ProcessEnv) => placeGivenKeys(at('keys'), env, at('nowhere'))

  it.each([{ KEY_PUB: pub, KEY_PRIV: priv }, { KEY_PRIV: priv }])('are written once: %#', (env) => {
    place(env)
    place({ KEY_PRIV: priv })
    expect(read('keys/id_ed25519')).toBe(priv)
    expect(statSync(at('keys/id_ed25519')).mode & 0o777).toBe(0o600)
  })

  it('come from secrets before variables', () => {
    mkdirSync(at('run'))
    writeFileSync(at('run/key_priv'), `${priv}\n`)
    placeGivenKeys(at('keys'), { KEY_PRIV: 'something else' }, at('run'))
    expect(read('keys/id_ed25519')).toBe(priv)
  })

  it('are nothing where none are given', () => {
    place({})
    expect(readdirSync(at('keys'))).toEqual([])
  })

  it.each([
    [{ KEY_PUB: pub }, 'no secret one'],
    [{ KEY_PUB: encodeBase64(publicHalf(generateSecretKey())), KEY_PRIV: priv }, 'no pair'],
    [{ KEY_PUB: pub, KEY_PRIV: 'x' }, 'no pair'],
  ])('are refused when they are half a pair, or two halves: %#', (env, reason) => {
    expect(() => place(env)).toThrow(reason)
    expect(readdirSync(at('keys'))).toEqual([])
  })
})
