import { afterEach, describe, expect, it } from '@jest/globals'
import { systemClock } from '../src/clock.ts'
import { ENDED, type Received } from '../src/inbox.ts'
import { openKcpLink } from '../src/kcp-link.ts'
import type { Link } from '../src/link.ts'
import { openPunchSocket } from '../src/node-punch-socket.ts'
import type { PunchSocket } from '../src/punch-socket.ts'

const clock = systemClock
const opened: { close(): Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
})

/** A socket that loses, doubles and delays what it sends. */
function lossy(socket: PunchSocket, losesOneIn: number): PunchSocket {
  let turn = losesOneIn
  return {
    local: socket.local,
    receive: (handler) => socket.receive(handler),
    close: () => socket.close(),
    send(datagram, to) {
      turn = (Math.imul(turn, 1_664_525) + 1_013_904_223) >>> 0
      const fate = (turn >>> 16) % losesOneIn
      if (fate === 0) return
      const copy = Uint8Array.from(datagram)
      if (fate === 1) setTimeout(() => socket.send(copy, to), 15)
      else socket.send(copy, to)
      if (fate === 2) socket.send(copy, to)
    },
  }
}

async function pair({ losesOneIn = 0, family = 4 as 4 | 6 } = {}): Promise<[Link, Link]> {
  const localAddress = family === 4 ? '127.0.0.1' : '::1'
  const sockets = await Promise.all([
    openPunchSocket({ family, localAddress }),
    openPunchSocket({ family, localAddress }),
  ])
  const [a, b] = losesOneIn > 0 ? sockets.map((socket) => lossy(socket, losesOneIn)) : sockets
  if (!a || !b) throw new Error('two sockets were opened')
  const links = await Promise.all([
    openKcpLink(a, b.local, { role: 'connect', clock, limitMs: 20_000 }),
    openKcpLink(b, a.local, { role: 'accept', clock, limitMs: 20_000 }),
  ])
  opened.push(...links)
  return links
}

const payload = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * seed + (i >> 8)) & 255)

const isPayload = (received: Received, length: number, seed: number) =>
  typeof received !== 'string' && Buffer.compare(received, payload(length, seed)) === 0

describe('a link over UDP', () => {
  it.each([
    ['IPv4', { family: 4 as const }],
    ['IPv6', { family: 6 as const }],
    ['a path that loses, doubles and delays a fifth each', { losesOneIn: 5 }],
  ])('carries payloads of every size both ways over %s, and ends in order', async (_path, options) => {
    const [a, b] = await pair(options)
    const sizes = [0, 1, 63, 64, 1_176, 20_000, 300_000, 0, 5]
    for (const [from, to] of [[a, b] as const, [b, a] as const]) {
      for (const [i, size] of sizes.entries()) from.send(payload(size, i + 3))
      for (const [i, size] of sizes.entries()) expect(isPayload(await to.next(20_000), size, i + 3)).toBe(true)
    }
    a.send(payload(1_000, 7))
    const closing = a.close()
    expect(isPayload(await b.next(20_000), 1_000, 7)).toBe(true)
    expect(await b.next(20_000)).toBe(ENDED)
    await Promise.all([closing, b.close()])
    expect([a.failure, b.failure]).toEqual([undefined, undefined])
  })

  it('holds the sender back while nobody takes anything', async () => {
    const [a, b] = await pair()
    let sent = 0
    while (a.send(payload(50_000, 1))) sent++
    const total = ++sent + 40
    const rest = (async () => {
      for (; sent < total; sent++) {
        await a.drained()
        a.send(payload(50_000, 1))
      }
    })()
    for (let i = 0; i < total; i++) expect((await b.next(20_000)).length).toBe(50_000)
    await rest
  })

  it('is not opened to somebody who does not answer, or from elsewhere', async () => {
    const sockets = await Promise.all([1, 2, 3].map(() => openPunchSocket({ family: 4, localAddress: '127.0.0.1' })))
    const [a, b, stranger] = sockets as [PunchSocket, PunchSocket, PunchSocket]
    opened.push(...sockets)
    const strangerTalks = setInterval(() => stranger.send(new Uint8Array(20), a.local), 5)
    const opening = openKcpLink(a, b.local, { role: 'connect', clock, limitMs: 300 })
    await expect(opening).rejects.toMatchObject({ reason: 'timeout' })
    clearInterval(strangerTalks)
  })

  it('is given up when nobody wants it any more', async () => {
    const [a, b] = await Promise.all([1, 2].map(() => openPunchSocket({ family: 4, localAddress: '127.0.0.1' })))
    if (!a || !b) throw new Error('two sockets were opened')
    opened.push(a, b)
    const wish = new AbortController()
    const opening = openKcpLink(a, b.local, { role: 'accept', clock, limitMs: 20_000, signal: wish.signal })
    wish.abort()
    await expect(opening).rejects.toMatchObject({ reason: 'aborted' })
  })

  it('learns that the other side has gone without a word', async () => {
    const [a, b] = await pair()
    await a.close()
    expect(await b.next(20_000)).toBe(ENDED)
  })
})
