import { describe, expect, it } from '@jest/globals'
import { isCustomId } from './change-id.ts'

describe('an id of a user\u2019s choice', () => {
  it.each(['abcdef', 'a123456789012345', 'Front_desk-2', 'Aüö名前x', 'abc\u200ddefg'])('may be %j', (id) =>
    expect(isCustomId(id)).toBe(true),
  )
  it.each(['', 'abcde', 'a1234567890123456', '1abcdef', 'äbcdefg', 'abc def', 'abc.def', 'abcdefg\n'])(
    'may not be %j',
    (id) => expect(isCustomId(id)).toBe(false),
  )
})
