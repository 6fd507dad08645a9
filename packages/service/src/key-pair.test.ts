import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { decodeBase64, encodeBase64 } from '@tryst/protocol'
import { drawKey } from './key-files.ts'
import { loadKeyPair } from './key-pair.ts'
import { generateSecretKey, publicHalf, verifySignature } from './node-signer.ts'

const SECRET = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA=='
const PUBLIC = 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg='
const OTHER_PUBLIC = encodeBase64(publicHalf(generateSecretKey()))

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tryst-keys-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const put = (name: string, content: string) => writeFileSync(join(folder, name), content)
const take = (name: string) => readFileSync(join(folder, name), 'utf8')
const load = (key: string, use: 'sign' | 'compare' = 'sign') => loadKeyPair({ key, use, folder })

describe('the key pair of an ID server', () => {
  it.each(['-', '_'])('is that of the files for %s', async (key) => {
    put('id_ed25519', `${SECRET}\n`)
    const pair = await load(key)
    expect(pair).toMatchObject({ expectedKey: PUBLIC, publicKey: PUBLIC, source: 'found files', warnings: [] })
    expect(encodeBase64(pair.signer?.publicKey ?? new Uint8Array())).toBe(PUBLIC)
  })

  it('signs with the key of the files without checking anything when KEY is empty', async () => {
    put('id_ed25519', SECRET)
    expect(await load('')).toMatchObject({ expectedKey: undefined, publicKey: PUBLIC, source: 'found files' })
    expect((await load('')).signer).toBeDefined()
  })

  it.each([SECRET, SECRET.slice(0, -2)])('is the secret in KEY, without files: %s', async (key) => {
    const pair = await load(key)
    expect(pair).toMatchObject({ expectedKey: PUBLIC, publicKey: PUBLIC, source: 'secret in KEY' })
    const message = Buffer.from('message')
    const signature = pair.signer?.sign(message) ?? new Uint8Array()
    expect(verifySignature(decodeBase64(PUBLIC) ?? new Uint8Array(), message, signature)).toBe(true)
    expect(readdirSync(folder)).toEqual([])
  })

  it.each([PUBLIC, 'letmein'])(
    'is a mere text to compare for anything else, and says what that means: %s',
    async (key) => {
      expect(await load(key)).toMatchObject({
        expectedKey: key,
        signer: undefined,
        source: 'text in KEY',
        warnings: [expect.stringContaining('not encrypted end to end')],
      })
      expect(readdirSync(folder)).toEqual([])
    },
  )

  it('is made when there is none, readable by its owner only, and found the next time', async () => {
    const made = await load('-')
    expect(made.source).toBe('made files')
    expect(take('id_ed25519.pub')).toBe(made.expectedKey)
    expect(take('id_ed25519')).toMatch(/^[A-Za-z0-9+/]{86}==$/)
    expect(statSync(join(folder, 'id_ed25519')).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder).sort()).toEqual(['id_ed25519', 'id_ed25519.pub'])
    expect(await load('-')).toMatchObject({ expectedKey: made.expectedKey, source: 'found files' })
  })

  it('gets its public file back when only that is missing', async () => {
    put('id_ed25519', SECRET)
    await load('-')
    expect(take('id_ed25519.pub')).toBe(PUBLIC)
  })

  it('leaves a public file that belongs to another key as it is, and says so', async () => {
    put('id_ed25519', SECRET)
    put('id_ed25519.pub', OTHER_PUBLIC)
    const { expectedKey, warnings } = await load('-')
    expect(expectedKey).toBe(PUBLIC)
    expect(warnings).toEqual([expect.stringContaining(`whose public key is ${PUBLIC}`)])
    expect(take('id_ed25519.pub')).toBe(OTHER_PUBLIC)
  })

  it('is not made anew where only the public file is left, since clients have that key', async () => {
    put('id_ed25519.pub', PUBLIC)
    await expect(load('-')).rejects.toMatchObject({
      name: 'KeyFileError',
      message: expect.stringMatching(/without id_ed25519: put id_ed25519 back from a backup/),
    })
    expect(readdirSync(folder)).toEqual(['id_ed25519.pub'])
  })

  it.each([
    ['no base64', 'not base64 !'],
    ['too few bytes', encodeBase64(new Uint8Array(32))],
    ['halves that do not belong together', encodeBase64(Buffer.concat([new Uint8Array(32), Buffer.alloc(32, 7)]))],
    ['nothing', ''],
  ])('is refused when the secret file holds %s', async (_, content) => {
    put('id_ed25519', content)
    await expect(load('-')).rejects.toThrow(/^malformed private key: .*id_ed25519 .*from a backup/)
    expect(take('id_ed25519')).toBe(content)
  })

  it('is refused when a secret in KEY has halves that do not belong together', async () => {
    await expect(load(encodeBase64(Buffer.alloc(64, 7)))).rejects.toThrow('KEY is not a secret key')
  })

  it('is refused where the folder does not exist', async () => {
    const nowhere = join(folder, 'nowhere')
    await expect(loadKeyPair({ key: '-', use: 'sign', folder: nowhere })).rejects.toThrow(
      `id_ed25519 cannot be made (ENOENT); let this user write to ${nowhere}`,
    )
  })

  it('is refused where there can be no file', async () => {
    put('file', '')
    await expect(loadKeyPair({ key: '-', use: 'sign', folder: join(folder, 'file') })).rejects.toThrow(
      'cannot be read (ENOTDIR)',
    )
  })
})

describe('the key of a relay', () => {
  it('is none without KEY, and needs no files', async () => {
    expect(await load('', 'compare')).toEqual({
      expectedKey: undefined,
      signer: undefined,
      publicKey: undefined,
      source: 'none',
      warnings: [],
    })
    expect(readdirSync(folder)).toEqual([])
  })

  it('is the public key of the files for -, made when missing, without a signer', async () => {
    const pair = await load('-', 'compare')
    expect(pair).toMatchObject({ source: 'made files', signer: undefined })
    expect(pair.expectedKey).toBe(take('id_ed25519.pub'))
  })

  it.each([
    [SECRET, PUBLIC],
    [PUBLIC, PUBLIC],
    ['letmein', 'letmein'],
  ])('is for KEY=%s: %s', async (key, expected) => {
    expect(await load(key, 'compare')).toMatchObject({ expectedKey: expected, signer: undefined, warnings: [] })
  })
})

describe('a new key', () => {
  it('is drawn until its public half fits into a file name', () => {
    const withSlash = decodeBase64(SECRET) ?? new Uint8Array()
    const draws = [withSlash, withSlash, generateUntil((text) => !text.includes('/'))]
    const kept = drawKey(() => draws.shift() ?? new Uint8Array())
    expect(encodeBase64(publicHalf(kept))).not.toContain('/')
    expect(draws).toEqual([])
  })

  it('is taken as it comes after 301 draws', () => {
    const withSlash = decodeBase64(SECRET) ?? new Uint8Array()
    let draws = 0
    drawKey(() => {
      draws++
      return withSlash
    })
    expect(draws).toBe(301)
  })
})

function generateUntil(fits: (publicKey: string) => boolean): Uint8Array {
  for (;;) {
    const secretKey = generateSecretKey()
    if (fits(encodeBase64(publicHalf(secretKey)))) return secretKey
  }
}

describe('the key pair of nodes that share their state', () => {
  const shared = (key: string, use: 'sign' | 'compare' = 'sign') => loadKeyPair({ key, use, folder, pair: 'shared' })

  it('is never made silently', async () => {
    await expect(shared('-')).rejects.toThrow(/id_ed25519 is missing: all nodes of a server have one key pair/)
    expect(readdirSync(folder)).toEqual([])
  })

  it('is there whatever clients have to present', async () => {
    put('id_ed25519', SECRET)
    for (const pair of [await shared(''), await shared('', 'compare'), await shared('_', 'compare')]) {
      expect(encodeBase64(pair.secretKey ?? new Uint8Array())).toBe(SECRET)
    }
    expect((await shared('', 'compare')).expectedKey).toBeUndefined()
  })

  it('is not a mere text', async () => {
    await expect(shared('secret')).rejects.toThrow(/KEY is no secret key/)
  })
})
