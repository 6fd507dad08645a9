import { createPrivateKey, sign } from 'node:crypto'
import { expect, it } from '@jest/globals'
import { decodeBase64, encodeBase64 } from '../src/base64.ts'
import { openCombined, openIdentity, signCombined, signingKeyPairOf } from '../src/handshake.ts'
import { encodeIdPk, type Signer, signIdentity } from '../src/identity.ts'
import { describeVectors, fromHex, toHex } from './vectors.ts'

interface Key {
  name: string
  seed: string
  publicKey: string
  secretKey: string
  publicText: string
  secretText: string
}

interface IdentityVectors {
  keys: { cases: Key[] }
  signedIdPk: { cases: { signer: string; id: string; pk: string; idPk: string; signed: string }[] }
  verify: { cases: { name: string; publicKey: string; signed: string; ok: boolean; message?: string }[] }
  clientReading: {
    cases: { name: string; publicKey: string; signed: string; askedId: string; result: string; devicePk?: string }[]
  }
  base64: { cases: { name: string; text: string; server: { bytes?: number }; client: { bytes?: number } }[] }
}

const PKCS8_ED25519 = '302e020100300506032b657004220420'

/** Signs by libsodium and, to see that it makes no difference, by the platform. */
function signersOf(key: Key): Signer[] {
  const publicKey = fromHex(key.publicKey)
  const secretKey = fromHex(key.secretKey)
  const platformKey = createPrivateKey({
    key: Buffer.from(PKCS8_ED25519 + key.seed, 'hex'),
    format: 'der',
    type: 'pkcs8',
  })
  return [
    { publicKey, sign: (message) => signCombined(message, secretKey).subarray(0, 64) },
    { publicKey, sign: (message) => sign(null, message, platformKey) },
  ]
}

describeVectors<IdentityVectors>('identity.json', (vectors) => {
  it('derives the same keys from a seed and writes them in the same texts', () => {
    for (const key of vectors.keys.cases) {
      const { publicKey, secretKey } = signingKeyPairOf(fromHex(key.seed))
      expect([toHex(publicKey), toHex(secretKey)]).toEqual([key.publicKey, key.secretKey])
      expect([encodeBase64(publicKey), encodeBase64(secretKey)]).toEqual([key.publicText, key.secretText])
    }
  })

  it('signs identities to the same bytes', () => {
    for (const { signer, id, pk, idPk, signed } of vectors.signedIdPk.cases) {
      const key = vectors.keys.cases.find(({ name }) => name === signer)
      if (!key) throw new Error(`no key ${signer}`)
      expect(toHex(encodeIdPk(id, fromHex(pk)))).toBe(idPk)
      for (const each of signersOf(key)) expect(toHex(signIdentity(each, id, fromHex(pk)))).toBe(signed)
    }
  })

  it.each(vectors.verify.cases.map((one) => [one.name, one] as const))('verifies a signature: %s', (_, one) => {
    const message = openCombined(fromHex(one.signed), fromHex(one.publicKey))
    expect(message && toHex(message)).toBe(one.ok ? one.message : undefined)
  })

  it.each(vectors.clientReading.cases.map((one) => [one.name, one] as const))('reads an identity: %s', (_, one) => {
    const identity = openIdentity(fromHex(one.signed), fromHex(one.publicKey))
    const verdict = !identity ? 'unusable' : identity.id === one.askedId ? 'usable' : 'id differs'
    expect(verdict).toBe(['usable', 'id differs'].includes(one.result) ? one.result : 'unusable')
    if (identity) expect(toHex(identity.publicKey)).toBe(one.devicePk)
  })

  it.each(vectors.base64.cases.map((one) => [one.name, one] as const))(
    'reads base64 as the server does: %s',
    (_, one) => {
      expect(decodeBase64(one.text)?.length).toBe(one.server.bytes)
    },
  )

  it('writes base64 in the only form that clients read', () => {
    for (const { text, client } of vectors.base64.cases) {
      const bytes = decodeBase64(text)
      expect([text, bytes !== undefined && encodeBase64(bytes) === text]).toEqual([text, client.bytes !== undefined])
    }
  })
})
