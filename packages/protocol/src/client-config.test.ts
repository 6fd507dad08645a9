import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { decodeClientConfig, encodeClientConfig } from './client-config.ts'

const config = {
  host: 'hbbs.example.com',
  relay: '',
  api: '',
  key: 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=',
}
const text =
  'Qfi0zZi1kVKJkWHlHZIZWMRBnYDpWMrZ2VtFkdwUTWw40YkRDTF9EUvYHSFZTQiojI5V2aiwiIiojIpBXYiwiIiojI5FGblJnIsISbvNmLlxGctFGel5yciJGaiojI0N3boJye'

describe('client configuration', () => {
  it('is written without padding, in the form that every reader accepts', () => {
    expect(encodeClientConfig(config)).toBe(text)
  })

  it('is read with or without padding', () => {
    expect([decodeClientConfig(text), decodeClientConfig(`==${text}`)]).toEqual([config, config])
  })

  it('survives the way there and back', () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 })
    const any = fc.record({ host: fc.string({ minLength: 1 }), relay: text, api: text, key: text })
    fc.assert(fc.property(any, (each) => expect(decodeClientConfig(encodeClientConfig(each))).toEqual(each)))
  })

  it('is not found in other texts', () => {
    fc.assert(fc.property(fc.string(), (each) => expect(decodeClientConfig(each)?.host).not.toBe('')))
    expect(decodeClientConfig('')).toBeUndefined()
  })
})

describe('base64', () => {
  it('survives the way there and back, with or without padding', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = encodeBase64(bytes)
        expect(decodeBase64(text)).toEqual(bytes)
        expect(decodeBase64(text.replace(/=+$/, ''))).toEqual(bytes)
      }),
    )
  })

  it('never means the same bytes by two texts, but for the padding', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ABab01+/=-_ '), maxLength: 12 }), (text) => {
        const bytes = decodeBase64(text)
        if (bytes) expect(encodeBase64(bytes).startsWith(text)).toBe(true)
      }),
    )
  })
})
