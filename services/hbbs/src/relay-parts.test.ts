import { describe, expect, it } from '@jest/globals'
import { partsOfRelay } from './relay-parts.ts'

const PART = {
  ...{ atMs: 1, node: 'a', role: 'relay', session: 's-1' },
  steps: [{ atMs: 1, step: 'ended', what: 'closed', bytes: 7, lastedMs: 9 }],
}

describe('what a relay hands over', () => {
  it('is taken where it is what relays note', () => {
    expect(partsOfRelay({ trace: [PART] })).toEqual([PART])
  })

  it.each([
    ['no message', undefined],
    ['another message', { ticket: {} }],
    ['no list', { trace: 'x' }],
    ['no part', { trace: [null, 'x', {}] }],
    ['a part of an ID server', { trace: [{ ...PART, role: 'id-server' }] }],
    ['no name of a session', { trace: [{ ...PART, session: 1 }] }],
    ['a name without end', { trace: [{ ...PART, session: 'x'.repeat(201) }] }],
    ['a step that relays do not take', { trace: [{ ...PART, steps: [{ atMs: 1, step: 'asked' }] }] }],
    ['something else in a step', { trace: [{ ...PART, steps: [{ atMs: 1, step: 'ended', what: {} }] }] }],
  ])('is not taken where it is %s', (_, message) => {
    expect(partsOfRelay(message)).toEqual([])
  })
})
