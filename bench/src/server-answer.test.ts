import { describe, expect, it } from '@jest/globals'
import { encodeFrame, encodeRendezvous } from '@tryst/protocol'
import { fieldsOf, frame, mangled } from '../baselines/wire.ts'
import { findField, PUNCH_HOLE, readRegistrationAnswer, scanFields, scanFrames } from './server-answer.ts'

const handle = Buffer.from('78563412', 'hex')
const punchHole = encodeRendezvous({ punchHole: { socketAddr: handle, relayServer: 'relay:21117', natType: 1 } })

describe('readRegistrationAnswer', () => {
  it('tells the answers to a registration apart', () => {
    const answers = [
      { registerPeerResponse: { requestPk: false } },
      { registerPeerResponse: { requestPk: true } },
      { registerPkResponse: { result: 0 } },
      { registerPkResponse: { result: 2 } },
      { testNatResponse: { port: 50_000 } },
    ].map((message) => readRegistrationAnswer(encodeRendezvous(message)))
    expect(answers).toEqual(['known', 'key-wanted', 'accepted', 'refused', 'other'])
  })
})

describe('findField', () => {
  it('finds a field of a message in a message', () => {
    const punch = findField(punchHole, PUNCH_HOLE)
    expect(punch && findField(punch, 1)).toEqual(new Uint8Array(handle))
    expect(punch && findField(punch, 7)).toBeUndefined()
  })

  it('never reads beyond a message that is cut', () => {
    for (let length = 1; length < punchHole.length; length++) {
      const cut = punchHole.subarray(0, length)
      expect(scanFields(cut, 0, cut.length, () => undefined)).toBe(false)
    }
  })
})

describe('scanFrames', () => {
  it('finds the whole frames of a chunk and says when the last is cut', () => {
    const chunk = Buffer.concat([encodeFrame(punchHole), encodeFrame(new Uint8Array(300))])
    const lengths: number[] = []
    expect(scanFrames(chunk, ({ length }) => lengths.push(length))).toBe(true)
    expect(scanFrames(chunk.subarray(0, -1), ({ length }) => lengths.push(length))).toBe(false)
    expect(lengths).toEqual([punchHole.length, 300, punchHole.length])
  })
})

describe('the wire format of the baselines', () => {
  it('agrees with the protocol package', () => {
    const punch = fieldsOf(Buffer.from(punchHole))[PUNCH_HOLE]
    expect(punch && fieldsOf(punch)[1]).toEqual(handle)
    for (const length of [0, 63, 64, 300, 16_383]) {
      expect(new Uint8Array(frame(Buffer.alloc(length)))).toEqual(encodeFrame(new Uint8Array(length)))
    }
  })

  it('mangles an address as clients expect it', () => {
    expect(mangled('192.168.16.32', 21_116).subarray(0, 10).toString('hex')).toBe('7c520000000080512140')
  })
})
