import { beforeEach, describe, expect, it } from '@jest/globals'
import { BATCH, DatagramBatches } from './datagram-batches.ts'
import type { UdpCalls } from './udp-calls.ts'

const EPERM = 1
const EINTR = 4
const EAGAIN = 11
const HEADER_BYTES = 64

/** What the kernel does with the next calls: sends so many, or fails. Then it sends everything. */
type Outcome = { readonly sends: number } | { readonly fails: number }

describe('batches of datagrams', () => {
  let outcomes: Outcome[]
  /** First datagram and count of each call. */
  let calls: [first: number, count: number][]
  let batches: DatagramBatches

  beforeEach(() => {
    outcomes = []
    calls = []
    let error = 0
    let addresses = 0
    const kernel: UdpCalls = {
      openBound: () => undefined,
      refuseReuse: () => {},
      close: () => {},
      recvmmsg: () => -1,
      sendmmsg: (_fd, headers, count) => {
        calls.push([(headers - addresses) / HEADER_BYTES, count])
        const outcome = outcomes.shift() ?? { sends: count }
        if ('sends' in outcome) return outcome.sends
        error = outcome.fails
        return -1
      },
      errno: () => error,
      // Headers are the last of an array to be asked for, and those of answers come last.
      addressOf: () => (addresses += 1 << 20),
    }
    batches = new DatagramBatches(kernel, 9)
  })

  const put = (count: number) => {
    for (let i = 0; i < count; i++) expect(batches.put(Uint8Array.of(i), '192.0.2.7', 1000 + i)).toBe(true)
  }

  it('leave with one call', () => {
    put(10)
    expect(calls).toEqual([])
    batches.flush()
    batches.flush()
    expect(calls).toEqual([[0, 10]])
  })

  it('leave by themselves when there is no room for more', () => {
    put(2 * BATCH + 1)
    batches.flush()
    expect(calls).toEqual([
      [0, 2 * BATCH],
      [0, 1],
    ])
  })

  it('go on behind a datagram that cannot be sent', () => {
    outcomes = [{ sends: 3 }, { fails: EPERM }, { fails: EPERM }, { sends: 2 }]
    put(10)
    batches.flush()
    expect(calls).toEqual([
      [0, 10],
      [3, 7],
      [4, 6],
      [5, 5],
      [7, 3],
    ])
  })

  it('end when every datagram fails', () => {
    outcomes = new Array(10).fill({ fails: EPERM })
    put(10)
    batches.flush()
    expect(calls).toHaveLength(10)
  })

  it('are lost from where the socket is full', () => {
    outcomes = [{ sends: 3 }, { fails: EAGAIN }]
    put(10)
    batches.flush()
    put(2)
    batches.flush()
    expect(calls).toEqual([
      [0, 10],
      [3, 7],
      [0, 2],
    ])
  })

  it('are tried again after an interruption', () => {
    outcomes = [{ fails: EINTR }]
    put(10)
    batches.flush()
    expect(calls).toEqual([
      [0, 10],
      [0, 10],
    ])
  })

  it.each([
    ['a payload that is too long', 1025, '192.0.2.7', 9],
    ['another family', 1, '2001:db8::1', 9],
    ['a name', 1, 'host.example', 9],
    ['no port', 1, '192.0.2.7', 0],
    ['a port out of range', 1, '192.0.2.7', 65_536],
  ])('leave %s to others', (_what, bytes, ip, port) => {
    expect(batches.put(new Uint8Array(bytes), ip, port)).toBe(false)
    batches.flush()
    expect(calls).toEqual([])
  })

  it('are none when receiving fails', () => {
    expect(batches.receive()).toBe(0)
  })
})
