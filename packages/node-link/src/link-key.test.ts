import { describe, expect, it } from '@jest/globals'
import { formatIdentity, keyHintOf, linkKey, parseIdentity, printable } from './link-key.ts'

const secretKey = (fill: number) => new Uint8Array(64).fill(fill)

describe('the key between nodes', () => {
  it('is the same for the same server, another for another, and none of the secret key itself', () => {
    expect(linkKey(secretKey(1))).toEqual(linkKey(secretKey(1)))
    expect(linkKey(secretKey(1))).not.toEqual(linkKey(secretKey(2)))
    expect(linkKey(secretKey(1)).equals(secretKey(1).subarray(0, 32))).toBe(false)
  })

  it('stays the same from version to version, else old and new nodes would not talk', () => {
    expect(linkKey(secretKey(1)).toString('hex')).toBe(
      'f72b756f4e6aa5902cff9efb1621bfe7b28a2e33312548b0466f8abbaa0a73cc',
    )
  })
})

describe('what a node says of itself first', () => {
  it('is read as it was written', () => {
    const claimed = { keyHint: keyHintOf(secretKey(3)), name: 'relay 2 in the cellar' }
    expect(parseIdentity(formatIdentity(claimed))).toEqual(claimed)
  })

  it('is nothing when it was not written by a node', () => {
    for (const text of ['', 'x', 'tryst-node-1', 'tryst-node-1 short name', 'tryst-node-2 AAAAAAAAAAAA name']) {
      expect(parseIdentity(text)).toBeUndefined()
    }
  })

  it('may be written to a log', () => {
    expect(printable(`a\nb\u001b${'c'.repeat(100)}`)).toBe(`a?b?${'c'.repeat(60)}`)
  })
})
