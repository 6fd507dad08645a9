import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { readHeartbeat } from './heartbeat.ts'
import { decodeRendezvous, encodeRendezvous } from './rendezvous-message.ts'

const read = (datagram: Uint8Array) => {
  const heartbeat = { idStart: 0, idEnd: 0, serial: 0 }
  if (!readHeartbeat(datagram, heartbeat)) return undefined
  const { idStart, idEnd, serial } = heartbeat
  return { id: Buffer.from(datagram.subarray(idStart, idEnd)).toString(), serial }
}

describe('readHeartbeat', () => {
  it('recognises what stock clients send', () => {
    const id = fc.string({ minLength: 1, maxLength: 100, unit: 'grapheme-ascii' })
    fc.assert(
      fc.property(id, fc.integer({ min: 0, max: 127 }), (id, serial) => {
        expect(read(encodeRendezvous({ registerPeer: { id, serial } }))).toEqual({ id, serial })
      }),
    )
  })

  it('reads nothing that the full decoder reads otherwise', () => {
    const nearly = fc
      .tuple(fc.string({ maxLength: 300 }), fc.integer(), fc.uint8Array({ maxLength: 6 }), fc.nat())
      .map(([id, serial, noise, at]) => {
        const bytes = encodeRendezvous({ registerPeer: { id, serial } })
        bytes.set(noise.subarray(0, bytes.length - (at % bytes.length)), at % bytes.length)
        return bytes
      })
    fc.assert(
      fc.property(fc.oneof(nearly, fc.uint8Array({ maxLength: 300 })), (datagram) => {
        const fast = read(datagram)
        if (fast === undefined) return
        const { registerPeer } = decodeRendezvous(datagram)
        expect({ id: registerPeer?.id, serial: registerPeer?.serial ?? 0 }).toEqual(fast)
      }),
      { numRuns: 2000 },
    )
  })

  it('leaves ids that are not ASCII to the full decoder', () => {
    expect(read(encodeRendezvous({ registerPeer: { id: 'büro-1', serial: 3 } }))).toBeUndefined()
  })

  it('leaves lengths of two bytes to the full decoder', () => {
    const long = Uint8Array.from([0x32, 0x82, 0x0a, 0x7e, ...new Array(128).fill(0x61)])
    expect(read(long)).toBeUndefined()
  })
})
