import { expect, it } from '@jest/globals'
import { encodeFrame } from '@tryst/protocol'
import { FakeHalf } from '../test/fake-half.ts'
import { Arrival } from './arrival.ts'

function waitingArrival(): Arrival {
  const arrival = new Arrival(new FakeHalf(), {
    firstMessageMaxBytes: 4_096,
    firstMessage: (one) => one.wait(),
    lost: () => undefined,
  })
  arrival.onBytes(encodeFrame(Buffer.from('request')))
  return arrival
}

it('reads no more of a half that waits once it has sent 64 KiB ahead', () => {
  const arrival = waitingArrival()
  for (let sent = 16_000; sent < 64_000; sent += 16_000) expect(arrival.onBytes(new Uint8Array(16_000))).toBe(true)
  expect(arrival.onBytes(new Uint8Array(18_000))).toBe(false)
})

it('counts what is kept of many small pieces as more than their bytes', () => {
  const arrival = waitingArrival()
  let pieces = 1
  while (arrival.onBytes(new Uint8Array(1))) pieces++
  expect(pieces).toBeGreaterThan(100)
  expect(pieces).toBeLessThan(1_000)
})
