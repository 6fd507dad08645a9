import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { decodeBase64, encodeBase64 } from '@tryst/protocol'
import { drawKey } from '../src/key-files.ts'
import { publicHalf } from '../src/node-signer.ts'
import { findPublicKey } from '../src/public-key.ts'

const PUBLIC = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8='

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tryst-public-key-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('the key that is shown to people', () => {
  it.each(['-', '_', ''])('comes from the public file for KEY=%j, as soon as it is there', async (key) => {
    expect(await findPublicKey(key, folder)).toBeUndefined()
    writeFileSync(join(folder, 'id_ed25519.pub'), `${PUBLIC}\n`)
    expect(await findPublicKey(key, folder)).toBe(PUBLIC)
    expect(readdirSync(folder)).toEqual(['id_ed25519.pub'])
  })

  it('is the public half of a secret key, and any other text itself', async () => {
    const secret = drawKey()
    const shown = await findPublicKey(encodeBase64(secret), folder)
    expect(decodeBase64(shown ?? '')).toEqual(Uint8Array.from(publicHalf(secret)))
    expect(await findPublicKey('a text', folder)).toBe('a text')
  })
})
