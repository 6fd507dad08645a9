import { describe, expect, it } from '@jest/globals'
import { FirstMessageLimit } from './websocket-message-limit.ts'

/** A client's frame, masked with zeros. */
function frame(length: number, { opcode = 2, isLast = true, payload = true } = {}): Buffer {
  const first = (isLast ? 0x80 : 0) | opcode
  let head: Buffer
  if (length < 126) head = Buffer.from([first, 0x80 | length])
  else if (length < 65_536) head = Buffer.from([first, 0xfe, length >> 8, length & 0xff])
  else {
    head = Buffer.alloc(10)
    head[0] = first
    head[1] = 0xff
    head.writeBigUInt64BE(BigInt(length), 2)
  }
  return Buffer.concat([head, Buffer.alloc(4), Buffer.alloc(payload ? length : 0, 0xff)])
}

const verdicts = (chunks: readonly Uint8Array[]) => {
  const limit = new FirstMessageLimit(1000)
  for (const chunk of chunks) {
    const verdict = limit.push(chunk)
    if (verdict !== 'more') return verdict
  }
  return 'more'
}

describe('the limit of the first message', () => {
  it.each([0, 1, 125, 126, 999, 1000])('lets %i bytes pass', (length) => {
    expect(verdicts([frame(length)])).toBe('done')
  })

  it.each([1001, 65_535, 65_536, 2 ** 40])('refuses %i bytes by the header', (length) => {
    expect(verdicts([frame(length, { payload: false })])).toBe('too_long')
  })

  it('adds fragments up, and leaves control frames between them out', () => {
    const fragments = [
      frame(600, { isLast: false }),
      frame(125, { opcode: 9 }),
      frame(300, { opcode: 0, isLast: false }),
      frame(125, { opcode: 10 }),
    ]
    expect(verdicts([...fragments, frame(100, { opcode: 0 })])).toBe('done')
    expect(verdicts([...fragments, frame(101, { opcode: 0 })])).toBe('too_long')
  })

  it('says the same wherever the stream is cut', () => {
    const good = Buffer.concat([frame(125, { opcode: 9 }), frame(126, { isLast: false }), frame(10, { opcode: 0 })])
    const bad = Buffer.concat([frame(125, { opcode: 9 }), frame(126, { isLast: false }), frame(70_000, { opcode: 0 })])
    for (let cut = 0; cut <= good.length; cut++) {
      expect(verdicts([good.subarray(0, cut), good.subarray(cut)])).toBe('done')
      expect(verdicts([bad.subarray(0, cut), bad.subarray(cut)])).toBe('too_long')
    }
    expect(verdicts(Array.from(good, (byte) => Uint8Array.of(byte)))).toBe('done')
  })
})
