import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { ProtocolError } from './errors.ts'
import { encodeFrame, FrameDecoder, frameHeader } from './frame.ts'

function concat(parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts))
}

/** Everything that a decoder delivers for the chunks; payloads are copied, since they may be views. */
function decodeAll(decoder: FrameDecoder, chunks: Iterable<Uint8Array>): Uint8Array[] {
  const payloads: Uint8Array[] = []
  for (const chunk of chunks) {
    decoder.push(chunk, (payload) => {
      payloads.push(Uint8Array.from(payload))
      return true
    })
  }
  return payloads
}

const payloads = fc.array(
  fc.oneof(fc.uint8Array({ maxLength: 70 }), fc.uint8Array({ minLength: 16380, maxLength: 16390, size: 'max' })),
  { maxLength: 6 },
)

describe('FrameDecoder', () => {
  it('yields the same frames wherever the bytes are cut', () => {
    fc.assert(
      fc.property(payloads, fc.array(fc.nat({ max: 40000 }), { maxLength: 12 }), (frames, cuts) => {
        const bytes = concat(frames.map(encodeFrame))
        const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
        const chunks = edges.slice(1).map((end, i) => bytes.subarray(edges[i], end))
        const decoder = new FrameDecoder(1 << 20)
        expect(decodeAll(decoder, chunks)).toEqual(frames)
        expect(decoder.isIdle).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  it('yields the same frames byte by byte', () => {
    const frames = [new Uint8Array(0), Uint8Array.of(1), new Uint8Array(64).fill(2), new Uint8Array(16384).fill(3)]
    const bytes = concat(frames.map(encodeFrame))
    const chunks = Array.from(bytes, (byte) => Uint8Array.of(byte))
    expect(decodeAll(new FrameDecoder(16384), chunks)).toEqual(frames)
  })

  it('hands over, uninterpreted, what follows the frame at which the reader stops', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 100 }),
        fc.uint8Array({ maxLength: 100 }),
        fc.nat(),
        (payload, rest, at) => {
          const bytes = concat([encodeFrame(payload), rest])
          const cut = at % encodeFrame(payload).length
          const decoder = new FrameDecoder(1000)
          const found: Uint8Array[] = []
          const stop = (each: Uint8Array) => {
            found.push(Uint8Array.from(each))
            return false
          }
          expect(decoder.push(bytes.subarray(0, cut), stop)).toBeUndefined()
          expect(decoder.push(bytes.subarray(cut), stop)).toEqual(rest)
          expect(found).toEqual([payload])
        },
      ),
    )
  })

  it('delivers views of the chunk when a frame lies within it', () => {
    const chunk = encodeFrame(Uint8Array.of(1, 2, 3))
    let delivered: Uint8Array | undefined
    new FrameDecoder(3).push(chunk, (payload) => {
      delivered = payload
      return true
    })
    expect(delivered?.buffer).toBe(chunk.buffer)
  })

  it('throws nothing but ProtocolError for random bytes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
        fc.nat({ max: 500 }),
        (chunks, limit) => {
          try {
            for (const payload of decodeAll(new FrameDecoder(limit), chunks)) {
              expect(payload.length).toBeLessThanOrEqual(limit)
            }
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError)
          }
        },
      ),
    )
  })

  it('refuses a payload above the limit when its header has arrived, and allows it once the limit is raised', () => {
    expect(() => decodeAll(new FrameDecoder(16), [frameHeader(17)])).toThrow(ProtocolError)
    const decoder = new FrameDecoder(16)
    decoder.setMaxPayloadBytes(17)
    expect(decodeAll(decoder, [frameHeader(17), new Uint8Array(17)])).toEqual([new Uint8Array(17)])
  })

  it('allocates for what has arrived, not for what was announced', () => {
    const header = frameHeader(0x3fffffff)
    const before = process.memoryUsage().arrayBuffers
    const decoders = Array.from({ length: 1000 }, () => new FrameDecoder(0x3fffffff))
    for (const decoder of decoders) decodeAll(decoder, [header, new Uint8Array(100)])
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20)
    expect(decoders.every(({ isIdle }) => !isIdle)).toBe(true)
  })

  it('takes time in proportion to the bytes, also when a large frame trickles in', () => {
    const length = 4 << 20
    const decoder = new FrameDecoder(length)
    const byte = Uint8Array.of(7)
    const start = performance.now()
    let delivered = 0
    const count = (payload: Uint8Array) => {
      delivered += payload.length
      return true
    }
    decoder.push(frameHeader(length), count)
    for (let i = 0; i < length; i++) decoder.push(byte, count)
    expect(delivered).toBe(length)
    // About 0.2 s; copying what is there with every byte would take hours.
    expect(performance.now() - start).toBeLessThan(20_000)
  })
})
