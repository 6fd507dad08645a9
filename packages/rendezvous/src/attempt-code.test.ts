import { describe, expect, it } from '@jest/globals'
import { ATTEMPT_CODE_MASK, formatAttemptCode, readAttemptCode, withAttemptCode } from './attempt-code.ts'

describe('the code of an attempt', () => {
  it.each([
    [0, '000000'],
    [31, '00000Z'],
    [32, '000010'],
    [ATTEMPT_CODE_MASK, 'ZZZZZZ'],
  ])('of %i is %s, and is read as that', (code, text) => {
    expect(formatAttemptCode(code)).toBe(text)
    expect(readAttemptCode(text)).toBe(text)
  })

  it('is read as it was meant: small letters, letters for digits, blanks around it', () => {
    expect(readAttemptCode(' k7oil2 ')).toBe('K70112')
    for (const typed of ['', 'K7M2Q', 'K7M2QXX', 'K7-2QX', 'UUUUUU']) expect(readAttemptCode(typed)).toBeUndefined()
  })

  it('stands behind the text that a client shows', () => {
    expect(withAttemptCode('Key mismatch.', { code: 33 })).toBe('Key mismatch. (000011)')
    expect(withAttemptCode('Key mismatch.', undefined)).toBe('Key mismatch.')
  })
})
