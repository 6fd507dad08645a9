import { describe, expect, it } from '@jest/globals'
import { PooledReader } from './pooled-reader.ts'
import { LARGE_READ_BYTES, MEDIUM_READ_BYTES } from './read-buffers.ts'

/** A reader, and a kernel that fills its buffers. */
function readerWith(answer: () => boolean = () => true) {
  const taken: Buffer[] = []
  const reader = new PooledReader((bytes) => {
    taken.push(bytes as Buffer)
    return answer()
  })
  const arrive = (length: number, value = 1) => {
    const buffer = reader.next()
    buffer.fill(value, 0, length)
    return reader.read(length)
  }
  const sizes = () => reader.next().length
  return { reader, taken, arrive, sizes }
}

const SHARED_BYTES = 4096

describe('a pooled reader', () => {
  it('shares one buffer with all quiet sockets, and copies out of it', () => {
    const [one, two] = [readerWith(), readerWith()]
    expect(one.reader.next()).toBe(two.reader.next())
    one.arrive(10, 1)
    two.arrive(10, 2)
    expect([one.taken[0]?.[0], two.taken[0]?.[0]]).toEqual([1, 2])
  })

  it('reads into larger buffers of its own while they are filled, and back', () => {
    const { arrive, sizes, reader } = readerWith()
    arrive(SHARED_BYTES)
    expect(sizes()).toBe(MEDIUM_READ_BYTES)
    arrive(MEDIUM_READ_BYTES)
    expect(sizes()).toBe(LARGE_READ_BYTES)
    for (let i = 0; i < 16; i++) arrive(1000)
    expect(sizes()).toBe(MEDIUM_READ_BYTES)
    for (let i = 0; i < 16; i++) arrive(100)
    expect(sizes()).toBe(SHARED_BYTES)
    reader.closed()
  })

  it('uses a buffer again at once when its bytes are free, without a copy', () => {
    const { arrive, reader, taken } = readerWith()
    arrive(SHARED_BYTES)
    const buffer = reader.next()
    arrive(8192)
    expect(reader.next()).toBe(buffer)
    expect(taken[1]?.buffer).toBe(buffer.buffer)
    reader.closed()
  })

  it('loses nothing of a read that was under way when a limit came', () => {
    const { arrive, reader, taken, sizes } = readerWith()
    arrive(SHARED_BYTES)
    const buffer = reader.next()
    reader.limit(5_000)
    buffer.fill(7)
    reader.read(MEDIUM_READ_BYTES)
    expect(taken[1]?.length).toBe(MEDIUM_READ_BYTES)
    expect(sizes()).toBe(5_000)
    reader.closed()
  })

  it('gives no buffer to anybody else while its bytes are in use', () => {
    let isFree = true
    const lender = readerWith(() => isFree)
    lender.arrive(SHARED_BYTES)
    const lent = lender.reader.next()
    isFree = false
    // A full read also moves it to a larger buffer: the old one must stay where it is until it is free.
    expect(lender.arrive(MEDIUM_READ_BYTES, 7)).toBe(false)
    const other = readerWith()
    other.arrive(SHARED_BYTES)
    expect(other.reader.next()).not.toBe(lent)
    lender.reader.resumed()
    const third = readerWith()
    third.arrive(SHARED_BYTES)
    expect(third.reader.next()).toBe(lent)
    for (const { reader } of [lender, other, third]) reader.closed()
  })

  it('leaves what is lent to the garbage collector when the socket closes', () => {
    let isFree = true
    const lender = readerWith(() => isFree)
    lender.arrive(SHARED_BYTES)
    const lent = lender.reader.next()
    isFree = false
    lender.arrive(10)
    lender.reader.closed()
    const other = readerWith()
    other.arrive(SHARED_BYTES)
    expect(other.reader.next()).not.toBe(lent)
    other.reader.closed()
  })

  it('reads no more than its limit at once', () => {
    const { arrive, sizes, reader } = readerWith()
    reader.limit(10_000)
    expect(sizes()).toBe(SHARED_BYTES)
    arrive(SHARED_BYTES)
    expect(sizes()).toBe(10_000)
    arrive(10_000)
    expect(sizes()).toBe(10_000)
    reader.limit(1_000_000)
    arrive(MEDIUM_READ_BYTES)
    expect(sizes()).toBe(LARGE_READ_BYTES)
    reader.closed()
  })
})
