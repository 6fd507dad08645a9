import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { runUtils } from './utils.ts'

const PUBLIC = 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg='
const SECRET = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA=='
const OTHER_PUBLIC = `${'A'.repeat(43)}=`
/** The seed of SECRET with another public half. */
const TORN_SECRET = `AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8${'A'.repeat(43)}==`

const run = (...argv: string[]) =>
  runUtils({ name: 'rustdesk-utils', argv, version: '1.2.3', env: {}, cwd: tmpdir(), print: () => {} })

describe('genkeypair', () => {
  it('prints a pair in two lines that validatekeypair takes', async () => {
    const { output, status } = await run('genkeypair')
    expect(status).toBe(0)
    const [, publicKey = '', secretKey = ''] =
      /^Public Key: {2}([A-Za-z0-9+]{43}=)\nSecret Key: {2}([A-Za-z0-9+/]{86}==)\n$/.exec(output) ?? []
    expect(await run('validatekeypair', publicKey, secretKey)).toEqual({ output: 'Key pair is VALID\n', status: 0 })
  })
})

describe('genkeypair with a folder', () => {
  it('makes the files of a server, once', async () => {
    const parent = mkdtempSync(join(tmpdir(), 'tryst-utils-'))
    try {
      const folder = join(parent, 'new')
      const first = await run('genkeypair', folder)
      expect(first).toEqual({ output: expect.stringContaining('made'), status: 0 })
      const secretKey = readFileSync(join(folder, 'id_ed25519'), 'utf8')
      const publicKey = readFileSync(join(folder, 'id_ed25519.pub'), 'utf8')
      expect(first.output).toContain(`Public Key:  ${publicKey}\n`)
      expect(first.output).not.toContain(secretKey)
      expect(await run('validatekeypair', publicKey, secretKey)).toMatchObject({ status: 0 })
      const second = await run('genkeypair', folder)
      expect(second.output).toContain('was there already')
      expect(readFileSync(join(folder, 'id_ed25519'), 'utf8')).toBe(secretKey)
    } finally {
      rmSync(parent, { recursive: true })
    }
  })

  it('says why it cannot', async () => {
    expect(await run('genkeypair', '/dev/null/keys')).toEqual({ output: expect.stringMatching(/^ERROR: /), status: 1 })
  })
})

describe('validatekeypair', () => {
  it.each([
    ['a pair', PUBLIC, SECRET, 'Key pair is VALID', 0],
    ['keys of different pairs', OTHER_PUBLIC, SECRET, 'Key pair is INVALID', 1],
    ['a secret key whose halves do not belong together', PUBLIC, TORN_SECRET, 'Key pair is INVALID', 1],
    ['a secret key that is no base64', PUBLIC, '!', 'Invalid secret key', 1],
    ['a pair whose padding is missing', PUBLIC.slice(0, -1), SECRET.slice(0, -2), 'Key pair is VALID', 0],
    ['a secret key of another length', PUBLIC, PUBLIC, 'Invalid Secret key', 1],
    ['a public key that is no base64', '!', SECRET, 'Invalid public key', 1],
    ['a public key of another length', SECRET, SECRET, 'Invalid Public key', 1],
    ['two texts that are no keys', '!', '!', 'Invalid secret key', 1],
  ])('tells %s', async (_, publicKey, secretKey, line, status) => {
    expect(await run('validatekeypair', publicKey, secretKey)).toEqual({ output: `${line}\n`, status })
  })

  it('is known in any case', async () => {
    expect((await run('ValidateKeyPair', PUBLIC, SECRET)).status).toBe(0)
  })
})

describe('the command', () => {
  it('shows its usage and ends with 1 without a word', async () => {
    const { output, status } = await run()
    expect(status).toBe(1)
    expect(output).toMatch(/^Usage: rustdesk-utils .*genkeypair.*validatekeypair/s)
  })

  it.each([
    [['frobnicate'], /^ERROR: unknown command 'frobnicate'/],
    [['validatekeypair'], /^ERROR: missing required argument 'public-key'/],
    [['validatekeypair', PUBLIC], /^ERROR: missing required argument 'secret-key'/],
    [['--frobnicate'], /^ERROR: unknown option '--frobnicate'/],
  ])('says what is wrong with %j, then its usage, and ends with 1', async (argv, reason) => {
    const { output, status } = await run(...argv)
    expect(status).toBe(1)
    expect(output).toMatch(reason)
    expect(output).toMatch(/\n\nUsage: rustdesk-utils/)
  })

  it.each([
    [[], /^ERROR: missing required argument 'host'/],
    [['--frobnicate', 'hbbs.example.com'], /^ERROR: unknown option '--frobnicate'/],
    [['--port', '0', 'hbbs.example.com'], /^ERROR: --port 0: /],
    [['--timeout', 'long', 'hbbs.example.com'], /^ERROR: --timeout long: /],
    [['--api', 'hbbs.example.com', 'hbbs.example.com'], /^ERROR: --api hbbs.example.com: /],
    [['https://hbbs.example.com'], /^ERROR: <host>: /],
  ])('ends with 2 where doctor does not understand %j', async (argv, reason) => {
    expect(await run('doctor', ...argv)).toEqual({ output: expect.stringMatching(reason), status: 2 })
  })

  it('shows help and version and ends with 0', async () => {
    expect(await run('--help')).toMatchObject({ status: 0, output: expect.stringMatching(/^Usage: rustdesk-utils/) })
    expect(await run('--version')).toEqual({ status: 0, output: 'rustdesk-utils 1.2.3\n' })
  })
})
