import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import type { RelayHalf } from '@tryst/relay'
import { WebSocket } from 'ws'
import { ConnectionGuard } from '../src/connection-guard.ts'
import { givenSocket } from '../src/given-socket.ts'
import { readHandle } from '../src/socket-reading.ts'
import { TcpHalf } from '../src/tcp-half.ts'
import { TcpHalfListener } from '../src/tcp-half-listener.ts'
import type { WebSocketHalf } from '../src/websocket-half.ts'
import { openWebSocketHalves } from '../src/websocket-half-listener.ts'

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what} did not come about`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** A port, and the halves that have come there, with the messages of each. */
async function port(mayBeGiven = true) {
  const halves: { half: WebSocketHalf; messages: Buffer[]; hasEnded: boolean }[] = []
  const upgrades = await openWebSocketHalves({
    ...{ bind: '127.0.0.1', port: 0, guard: new ConnectionGuard<RelayHalf>({ perSource: 100, total: 100 }) },
    ...{ refuses: () => false, upgradeTimeoutMs: 5_000, firstMessageMaxBytes: 4_096, maxMessageBytes: 1 << 24 },
    ...{ trustedProxies: [], mayBeGiven, onError: () => undefined },
    onOpen: (half) => {
      const heard = { half, messages: [] as Buffer[], hasEnded: false }
      halves.push(heard)
      half.listen({
        onBytes: (bytes) => {
          heard.messages.push(Buffer.from(bytes))
          return true
        },
        onActivity: () => undefined,
        onDrain: () => undefined,
        onOversized: () => undefined,
        onEnd: () => {
          heard.hasEnded = true
        },
        onClose: () => undefined,
      })
    },
  })
  ends.push(() => upgrades.close())
  return { upgrades, halves }
}

async function client(to: number): Promise<WebSocket> {
  const webSocket = new WebSocket(`ws://127.0.0.1:${to}/`, { perMessageDeflate: false })
  webSocket.on('error', () => undefined)
  ends.push(() => webSocket.terminate())
  await once(webSocket, 'open')
  return webSocket
}

describe('a WebSocket that is given away', () => {
  it('goes on where its partner is, with every message in order and none twice', async () => {
    const [near, far] = [await port(), await port()]
    const webSocket = await client(near.upgrades.port)
    const sent = Array.from({ length: 200 }, (_, i) => randomBytes(i === 0 ? 100 : 1 + ((i * 7_919) % 3_000)))
    // Cut somewhere: the head of a message has come, and the rest of it has not.
    for (const message of sent.slice(0, 40)) webSocket.send(message)
    await until('some have come', () => (near.halves[0]?.messages.length ?? 0) >= 5)
    const released = near.halves[0]?.half.release()
    if (!released) throw new Error('it was not given away')
    for (const message of sent.slice(40)) webSocket.send(message)
    // In another process it is another handle of the same connection; here it is the very one.
    far.upgrades.takeOver(givenSocket(released.handle), { ip: '198.51.100.7', port: 7 }, released.received)
    await until('all have come', () => far.halves[0]?.messages.length === sent.length)
    expect(far.halves[0]?.messages.map((message, i) => message.equals(sent[i] ?? Buffer.alloc(0)))).not.toContain(false)
    expect([far.halves[0]?.half.remote, far.halves[0]?.half.wasGiven]).toEqual([{ ip: '198.51.100.7', port: 7 }, true])
    const answers: Buffer[] = []
    webSocket.on('message', (data: Buffer) => answers.push(data))
    far.halves[0]?.half.writeMessage(sent[1] ?? Buffer.alloc(0))
    // Its answer to the handshake is not sent twice.
    await until('the answer has come', () => answers.length === 1)
    expect(answers[0]?.equals(sent[1] ?? Buffer.alloc(0))).toBe(true)
    webSocket.close()
    await until('its end is seen', () => far.halves[0]?.hasEnded === true)
  })

  it('is one that nobody has given before, and that has no partner yet', async () => {
    const [near, far] = [await port(), await port()]
    const webSocket = await client(near.upgrades.port)
    await until('it has come', () => near.halves.length === 1)
    const released = near.halves[0]?.half.release()
    if (!released) throw new Error('it was not given away')
    expect(near.halves[0]?.half.release()).toBeUndefined()
    far.upgrades.takeOver(givenSocket(released.handle), { ip: '198.51.100.7', port: 7 }, released.received)
    webSocket.send('x')
    expect(far.halves[0]?.half.release()).toBeUndefined()
    await client(far.upgrades.port)
    await until('another has come', () => far.halves.length === 2)
    const paired = far.halves[1]?.half
    paired?.listen({ ...IGNORING })
    expect(paired?.release()).toBeUndefined()
  })

  it('is none where there is nobody to give it to', async () => {
    const { upgrades, halves } = await port(false)
    await client(upgrades.port)
    await until('it has come', () => halves.length === 1)
    expect(halves[0]?.half.release()).toBeUndefined()
  })
})

describe('a TCP connection that is given away', () => {
  it.each([1_000, 200_000])('goes on where its partner is, with %i bytes sent ahead', async (aheadBytes) => {
    const guard = new ConnectionGuard<RelayHalf>({ perSource: 100, total: 100 })
    const halves: TcpHalf[] = []
    const listener = await TcpHalfListener.open({
      ...{ bind: '127.0.0.1', port: 0, reading: 'pooled', guard, refuses: () => false, divert: () => false },
      ...{ onPortable: () => undefined, onError: () => undefined },
      onOpen: (half) => {
        halves.push(half)
        half.listen({ ...IGNORING, onBytes: keep })
      },
    })
    ends.push(() => listener.close())
    const kept: Buffer[] = []
    let keptBytes = 0
    // As a half does that waits: no more is read beyond a limit.
    const keep = (bytes: Uint8Array) => {
      kept.push(Buffer.from(bytes))
      keptBytes += bytes.length
      return keptBytes < 64 * 1024
    }
    const socket = connect({ port: listener.port, host: '127.0.0.1', allowHalfOpen: true })
    ends.push(() => socket.destroy())
    const sent = randomBytes(3_000_000)
    socket.write(sent.subarray(0, aheadBytes))
    await until('some has come', () => keptBytes >= Math.min(aheadBytes, 64 * 1024))
    const handle = halves[0]?.release()
    if (!handle) throw new Error('it was not given away')
    expect(halves[0]?.release()).toBeUndefined()
    socket.write(sent.subarray(aheadBytes))
    socket.end()

    const received: Buffer[] = []
    let hasEnded = false
    const options = { remote: { ip: '198.51.100.7', port: 7 }, source: '198.51.100.7', guard, wasGiven: true }
    const there = new TcpHalf((read) => readHandle(handle, read), options)
    let isHeldBack = true
    there.listen({
      ...IGNORING,
      onBytes: (bytes) => {
        received.push(Buffer.from(bytes))
        return !isHeldBack
      },
      onEnd: () => {
        hasEnded = true
      },
    })
    there.replay(Buffer.concat(kept))
    // Nothing is read behind what was replayed until it is taken.
    await new Promise((resolve) => setImmediate(resolve))
    expect(received).toHaveLength(1)
    isHeldBack = false
    there.resume()
    await until('all has come', () => hasEnded)
    expect(Buffer.concat(received).equals(sent)).toBe(true)
    expect(there.release()).toBeUndefined()
    there.destroy()
  })
})

const IGNORING = {
  onBytes: () => true,
  onActivity: () => undefined,
  onDrain: () => undefined,
  onOversized: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
}
