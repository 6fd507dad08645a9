import { describe, expect, it } from '@jest/globals'
import { parcelMessage, readParcel, WorkerSiblings } from './parcels.ts'

const handle = { close: () => undefined }

function channel(send: (...args: unknown[]) => boolean) {
  const listeners: ((message: unknown, handle: unknown) => void)[] = []
  return {
    ...{ send, on: (_: 'message', listener: (message: unknown, handle: unknown) => void) => listeners.push(listener) },
    says: (message: unknown, with_: unknown) => {
      for (const listener of listeners) listener(message, with_)
    },
  }
}

describe('what a worker gives to another', () => {
  it('goes to the parent with both numbers', () => {
    const sent: unknown[] = []
    const parent = channel((...args) => sent.push(args) > 0)
    const siblings = new WorkerSiblings('group', 2, parent)
    const whenSent = () => undefined
    expect(siblings.give(1, { half: 'x' }, handle, whenSent)).toBe(true)
    expect(sent).toEqual([[{ parcel: { to: 1, from: 2, content: { half: 'x' } } }, handle, undefined, whenSent]])
  })

  it('stays where there is no way', () => {
    const refusing = channel(() => {
      throw new TypeError('This handle type cannot be sent')
    })
    expect(new WorkerSiblings('group', 2, refusing).give(1, {}, handle, () => undefined)).toBe(false)
  })

  it('arrives with its socket, or not at all', () => {
    const parent = channel(() => true)
    const taken: unknown[] = []
    new WorkerSiblings('group', 1, parent).receive((content, given) => taken.push([content, given]))
    parent.says(parcelMessage({ to: 1, from: 2, content: 'half' }), handle)
    parent.says(parcelMessage({ to: 1, from: 2, content: 'gone' }), undefined)
    parent.says({ ticket: {} }, handle)
    expect(taken).toEqual([['half', handle]])
    expect(readParcel(null)).toBeUndefined()
  })
})
