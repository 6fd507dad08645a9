import { describe, expect, it } from '@jest/globals'
import { forwarded } from './forwarded.ts'
import { decodeRendezvous, encodeRendezvous } from './rendezvous-message.ts'

const bytes = Uint8Array.from(Buffer.from('92010912027231fa06024142', 'hex'))

describe('forwarded', () => {
  it('changes fields of a copy and keeps those that we do not know', () => {
    const { requestRelay } = decodeRendezvous(bytes)
    if (!requestRelay) throw new Error('not a RequestRelay')
    const copy = forwarded(requestRelay, { socketAddr: Uint8Array.of(1) })
    expect(Buffer.from(encodeRendezvous({ requestRelay: copy })).toString('hex')).toBe('92010c120272311a0101fa06024142')
    expect(requestRelay.socketAddr).toHaveLength(0)
  })
})
