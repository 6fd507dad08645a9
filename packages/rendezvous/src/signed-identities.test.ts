import { describe, expect, it } from '@jest/globals'
import type { Signer } from '@tryst/protocol'
import { MemoryIdentities } from '../test/test-bench.ts'
import { StoreUnavailableError } from './identity-store.ts'
import type { PeerId } from './peer-identity.ts'
import { SignedIdentities } from './signed-identities.ts'

const laptop = '123456789' as PeerId
const key = (value: number) => new Uint8Array(32).fill(value)

async function signedOf(cluster: { isAlone: boolean }) {
  let signatures = 0
  const signer: Signer = {
    publicKey: key(0),
    sign: () => new Uint8Array(64).fill(++signatures),
  }
  const identities = new MemoryIdentities()
  const newcomer = { id: laptop, uuid: key(9), publicKey: key(1), ip: '203.0.113.7' }
  const { identity } = await identities.create(newcomer)
  const changeKey = () => identities.update(identity, { publicKey: key(2), ip: identity.ip })
  const signed = new SignedIdentities(signer, identities, cluster)
  return { identities, signed, changeKey, made: () => signatures }
}

describe('signed identities', () => {
  it('are at hand the second time, in a server that is alone', async () => {
    const { signed } = await signedOf({ isAlone: true })
    expect(signed.peek(laptop)).toBeUndefined()
    const first = await signed.find(laptop)
    expect(signed.peek(laptop)).toBe(first)
    signed.forget(laptop)
    expect(signed.peek(laptop)).toBeUndefined()
  })

  it('follow a key that was changed on another node, and are made once for a key', async () => {
    const { signed, changeKey, made } = await signedOf({ isAlone: false })
    const first = await signed.find(laptop)
    expect(signed.peek(laptop)).toBeUndefined()
    expect(await signed.find(laptop)).toBe(first)
    expect(made()).toBe(1)
    await changeKey()
    expect(await signed.find(laptop)).not.toEqual(first)
    expect(made()).toBe(2)
  })

  it('stay what they were while the store is away', async () => {
    const { signed, identities } = await signedOf({ isAlone: false })
    const first = await signed.find(laptop)
    identities.failing = true
    expect(await signed.find(laptop)).toBe(first)
    await expect(signed.find('987654321' as PeerId)).rejects.toThrow(StoreUnavailableError)
  })
})
