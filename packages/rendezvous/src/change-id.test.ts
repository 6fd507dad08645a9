import { describe, expect, it } from '@jest/globals'
import { decideIdChange, type IdChange, isAcceptableNewId } from './change-id.ts'
import type { FoundIdentity } from './identity-store.ts'
import type { PeerId } from './peer-identity.ts'

const bytes = (value: number, length = 32) => new Uint8Array(length).fill(value)
const OLD = '123456789' as PeerId
const NEW = 'front-desk' as PeerId

const device = (changes: Partial<FoundIdentity> = {}): FoundIdentity => ({
  ...{ id: OLD, guid: bytes(0, 16), uuid: bytes(1), publicKey: bytes(2), ip: '203.0.113.7', standing: 'certain' },
  ...changes,
})
const change: IdChange = { from: OLD, to: NEW, uuid: bytes(1), ip: '198.51.100.4' }

describe('an id that a user wants', () => {
  it.each([
    ['six characters', 'abcdef'],
    ['sixteen', 'a123456789012345'],
    ['hyphens and underscores', 'Front_desk-2'],
    ['letters of other scripts behind the first', 'Aüö名前x'],
    ['digits of other scripts', 'a٣٤٥٦٧'],
    ['characters beyond the basic plane', 'a𠀀𠀁𠀂𠀃𠀄'],
  ])('is taken: %s', (_, id) => expect(isAcceptableNewId(id, { idMaxBytes: 100 })).toBe(true))

  it.each([
    ['five characters', 'abcde'],
    ['seventeen', 'a1234567890123456'],
    ['nothing', ''],
    ['a digit first', '1abcdef'],
    ['a letter of another script first', 'äbcdefg'],
    ['a hyphen first', '-abcdef'],
    ['a space', 'abc def'],
    ['a dot', 'abc.def'],
    ['a line end at the end', 'abcdefg\n'],
    ['a symbol', 'abcdef😀'],
    ['a joiner that nobody sees', 'abc\u200ddefg'],
    ['another form of the same text', 'abcdeu\u0308'],
    ['wide letters that look like others', 'aｂｃｄｅｆ'],
    ['half of a pair', 'abcdef\ud840'],
  ])('is refused: %s', (_, id) => expect(isAcceptableNewId(id, { idMaxBytes: 100 })).toBe(false))

  it('is no longer than ids may be', () => {
    expect(isAcceptableNewId('a名名名名名', { idMaxBytes: 16 })).toBe(true)
    expect(isAcceptableNewId('a名名名名名', { idMaxBytes: 15 })).toBe(false)
  })
})

describe('a change of id', () => {
  it.each([
    ['the device, and nobody has the new id', device(), undefined, 'rename'],
    ['the device, which has the new id already', device(), device({ id: NEW }), 'rename'],
    ['the device, which gave the new id up before', device(), device({ id: NEW, movedTo: OLD }), 'rename'],
    ['nobody has the old id', undefined, undefined, 'not-its-own'],
    ['another uuid', device({ uuid: bytes(9) }), undefined, 'not-its-own'],
    ['another uuid, and another one has the new id', device({ uuid: bytes(9) }), device({ id: NEW }), 'not-its-own'],
    ['somebody else has the new id', device(), device({ id: NEW, uuid: bytes(9) }), 'taken'],
    ['the new id is held for somebody else', device(), device({ uuid: bytes(9), movedTo: OLD }), 'taken'],
    ['a store that is not sure', device({ standing: 'uncertain' }), undefined, 'uncertain'],
    ['a store that contradicts itself', device({ standing: 'contradicted' }), undefined, 'uncertain'],
    ['a store that is not sure of the new id', device(), device({ standing: 'uncertain' }), 'uncertain'],
    ['asked again', device({ movedTo: NEW }), device({ id: NEW }), 'done'],
    ['moved elsewhere meanwhile', device({ movedTo: 'other-name' as PeerId }), undefined, 'later'],
    ['moved there and away again', device({ movedTo: NEW }), device({ movedTo: 'x' as PeerId }), 'later'],
  ] as const)('%s', (_, current, target, decision) =>
    expect(decideIdChange(change, { current, target })).toBe(decision),
  )

  it('to the same id changes nothing', () => {
    expect(decideIdChange({ ...change, to: OLD }, { current: device(), target: device() })).toBe('done')
  })

  it('needs the address too where the uuid is the key that everybody is told', () => {
    const phone = device({ publicKey: bytes(1) })
    expect(decideIdChange(change, { current: phone, target: undefined })).toBe('not-its-own')
    expect(decideIdChange({ ...change, ip: phone.ip }, { current: phone, target: undefined })).toBe('rename')
  })
})
