import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { ReliableStream, WINDOW_SEGMENTS } from './reliable-stream.ts'
import { COMMANDS, readSegments } from './segment.ts'

/** What a channel does to a datagram: when each of its copies arrives. */
type Channel = () => readonly number[]

/** Loses, doubles and delays at random; the same for the same seed. */
function channelOf({
  seed,
  lost,
  doubled,
  longestMs,
}: {
  seed: number
  lost: number
  doubled: number
  longestMs: number
}): Channel {
  let state = seed >>> 0
  const draw = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  return () => {
    if (draw(100) < lost) return []
    return draw(100) < doubled ? [draw(longestMs), draw(longestMs)] : [draw(longestMs)]
  }
}

/** Two streams and the channel between them, on a clock of their own. */
class Pair {
  nowMs = 0
  readonly received = { a: [] as Uint8Array[], b: [] as Uint8Array[] }
  readonly reads = { a: true, b: true }
  readonly a = new ReliableStream(0x1234, (datagram) => this.#carry('b', datagram))
  readonly b = new ReliableStream(0x1234, (datagram) => this.#carry('a', datagram))
  datagrams = 0
  readonly #under: { readonly to: 'a' | 'b'; readonly atMs: number; readonly datagram: Uint8Array }[] = []

  constructor(private readonly channel: Channel) {}

  #carry(to: 'a' | 'b', datagram: Uint8Array): void {
    if (datagram.length > 1_200) throw new Error(`a datagram of ${datagram.length} bytes`)
    this.datagrams++
    const kept = Uint8Array.from(datagram)
    for (const delayMs of this.channel()) this.#under.push({ to, atMs: this.nowMs + delayMs, datagram: kept })
  }

  /** 10 ms pass. */
  step(): void {
    this.nowMs += 10
    const due = this.#under.filter(({ atMs }) => atMs <= this.nowMs).sort((x, y) => x.atMs - y.atMs)
    for (const one of due) {
      this.#under.splice(this.#under.indexOf(one), 1)
      this[one.to].input(one.datagram, this.nowMs)
    }
    for (const side of ['a', 'b'] as const) {
      for (let bytes = this.reads[side] && this[side].read(); bytes; bytes = this[side].read()) {
        this.received[side].push(bytes)
      }
      this[side].flush(this.nowMs)
    }
  }

  runUntil(isOver: () => boolean, limitMs: number): void {
    const endMs = this.nowMs + limitMs
    while (!isOver()) {
      if (this.nowMs > endMs) throw new Error(`not over after ${limitMs} ms`)
      this.step()
    }
  }
}

const GOOD: Channel = () => [5]
const textOf = (parts: readonly Uint8Array[]) => Buffer.concat(parts).toString('latin1')
const bytesOf = (length: number, seed = 1) =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17 + (i >> 8)) & 255)

const channels = fc.record({
  seed: fc.nat(),
  lost: fc.integer({ min: 0, max: 50 }),
  doubled: fc.integer({ min: 0, max: 50 }),
  longestMs: fc.integer({ min: 1, max: 400 }),
})

describe('a stream over datagrams', () => {
  it('brings both sides all bytes in order, whatever the channel loses, doubles or delays', () => {
    fc.assert(
      fc.property(
        channels,
        fc.array(fc.uint8Array({ maxLength: 5_000 }), { maxLength: 12 }),
        fc.array(fc.uint8Array({ maxLength: 500 }), { maxLength: 12 }),
        (channel, fromA, fromB) => {
          const pair = new Pair(channelOf(channel))
          for (const bytes of fromA) pair.a.write(bytes)
          for (const bytes of fromB) {
            pair.b.write(bytes)
            pair.step()
          }
          pair.runUntil(() => pair.a.unacknowledged + pair.b.unacknowledged === 0, 600_000)
          expect(textOf(pair.received.b)).toBe(textOf(fromA))
          expect(textOf(pair.received.a)).toBe(textOf(fromB))
          pair.runUntil(() => pair.a.nextFlushMs(pair.nowMs) === undefined, 1_000)
        },
      ),
      { numRuns: 150 },
    )
  })

  it('is quick where a tenth is lost', () => {
    let turn = 0
    const pair = new Pair(() => (turn++ % 10 === 3 ? [] : [20]))
    const bytes = bytesOf(1_000_000)
    pair.a.write(bytes)
    pair.runUntil(() => pair.a.unacknowledged === 0, 3_000)
    expect(textOf(pair.received.b)).toBe(textOf([bytes]))
  })

  it('sends nothing twice over a channel that loses nothing', () => {
    const pair = new Pair(GOOD)
    const seen: number[] = []
    const a = new ReliableStream(1, (datagram) => {
      for (const { command, number } of readSegments(datagram)) if (command === COMMANDS.push) seen.push(number)
      pair.b.input(datagram, pair.nowMs)
    })
    a.write(bytesOf(70_000))
    a.flush(0)
    expect(seen).toEqual(seen.map((_, i) => i))
    expect(seen).toHaveLength(Math.ceil(70_000 / 1_176))
  })

  it('waits for a reader that is slow, and goes on when it reads', () => {
    const pair = new Pair(GOOD)
    pair.reads.b = false
    const bytes = bytesOf(3 * WINDOW_SEGMENTS * 1_176)
    pair.a.write(bytes)
    for (let i = 0; i < 1_000; i++) pair.step()
    expect(pair.a.unacknowledged).toBeGreaterThanOrEqual(WINDOW_SEGMENTS)
    const sentBefore = pair.datagrams
    for (let i = 0; i < 100; i++) pair.step()
    expect(pair.datagrams - sentBefore).toBeLessThan(10)
    pair.reads.b = true
    pair.runUntil(() => pair.a.unacknowledged === 0, 5_000)
    expect(textOf(pair.received.b)).toBe(textOf([bytes]))
  })

  it('asks a side that took nothing whether it can now', () => {
    let isLost = false
    const asked: number[] = []
    const a = new ReliableStream(7, (datagram) => {
      for (const { command } of readSegments(datagram)) if (command === COMMANDS.askWindow) asked.push(nowMs)
      b.input(datagram, nowMs)
    })
    const b = new ReliableStream(7, (datagram) => void (isLost || a.input(datagram, nowMs)))
    let nowMs = 0
    const bytes = bytesOf(2 * WINDOW_SEGMENTS * 1_176)
    a.write(bytes)
    const step = () => {
      nowMs += 10
      a.flush(nowMs)
      b.flush(nowMs)
    }
    for (let i = 0; i < 200; i++) step()
    isLost = true
    const parts: Uint8Array[] = []
    for (let part = b.read(); part; part = b.read()) parts.push(part)
    step()
    isLost = false
    while (a.unacknowledged > 0 && nowMs < 60_000) {
      step()
      for (let part = b.read(); part; part = b.read()) parts.push(part)
    }
    expect(textOf(parts)).toBe(textOf([bytes]))
    expect(asked.length).toBeGreaterThan(0)
  })

  it('is not led astray by datagrams that make no sense', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 30 }), (junk) => {
        const pair = new Pair(GOOD)
        pair.a.write(bytesOf(10_000))
        for (const datagram of junk) {
          pair.b.input(datagram, pair.nowMs)
          pair.step()
        }
        pair.runUntil(() => pair.a.unacknowledged === 0, 10_000)
        expect(textOf(pair.received.b)).toBe(textOf([bytesOf(10_000)]))
      }),
    )
  })
})
