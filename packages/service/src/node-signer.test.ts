import { describe, expect, it } from '@jest/globals'
import { encodeBase64, signIdentity } from '@tryst/protocol'
import { generateSecretKey, isConsistent, nodeSigner, publicHalf, verifySignature } from './node-signer.ts'

/** The seed 00 01 .. 1f and its public key. */
const SECRET_KEY = Buffer.from(
  '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8',
  'hex',
)

describe('a signer', () => {
  it('makes the signature that clients know', () => {
    const deviceKey = Buffer.from('29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7', 'hex')
    expect(Buffer.from(signIdentity(nodeSigner(SECRET_KEY), '123456789', deviceKey)).toString('hex')).toBe(
      '5bc63d711b2e63ccd12004983dbe260287491cd5797b7b2114e1810b523e7074ce2f2f2d1d844c773b357fef6e0eb7402a16e957fa77c8afc4c9fe9ae3aa2b08' +
        '0a09313233343536373839122029acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7',
    )
  })

  it('shows its public key', () => {
    expect(encodeBase64(nodeSigner(SECRET_KEY).publicKey)).toBe('A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=')
  })

  it('takes 64 bytes only', () => {
    expect(() => nodeSigner(SECRET_KEY.subarray(32))).toThrow(RangeError)
  })
})

describe('a new secret key', () => {
  it('signs what its public half verifies, and nothing else', () => {
    const secretKey = generateSecretKey()
    const message = Buffer.from('message')
    const signature = nodeSigner(secretKey).sign(message)
    expect(verifySignature(publicHalf(secretKey), message, signature)).toBe(true)
    expect(verifySignature(publicHalf(secretKey), Buffer.from('messagf'), signature)).toBe(false)
    expect(verifySignature(publicHalf(generateSecretKey()), message, signature)).toBe(false)
    expect(verifySignature(new Uint8Array(31), message, signature)).toBe(false)
  })

  it('has halves that belong together, which can be checked', () => {
    const secretKey = generateSecretKey()
    expect(isConsistent(secretKey)).toBe(true)
    secretKey.set(publicHalf(generateSecretKey()), 32)
    expect(isConsistent(secretKey)).toBe(false)
  })
})
