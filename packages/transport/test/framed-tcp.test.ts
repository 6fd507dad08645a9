import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { encodeFrame, FrameDecoder } from '@tryst/protocol'
import type { Accepting } from '../src/accepted-stream.ts'
import { type FramedTcpConnection, type FramedTcpHandler, FramedTcpListener } from '../src/framed-tcp.ts'

const opened: { close(): Promise<unknown> | unknown }[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
})

const echo: Partial<FramedTcpHandler> = { onMessage: (connection, payload) => connection.send(payload) }

async function open(handler: Partial<FramedTcpHandler> = echo, more: object = {}) {
  const listener = await FramedTcpListener.open({
    port: 0,
    bind: undefined,
    maxFrameBytes: 1_000,
    firstMessageTimeoutMs: 5_000,
    idleTimeoutMs: 5_000,
    onError: (error) => {
      throw error
    },
    ...more,
    handler: { onOpen: () => true, onMessage: () => undefined, onClose: () => undefined, ...handler },
  })
  opened.push(listener)
  return listener
}

async function dial(port: number, host = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host })
  opened.push({ close: () => socket.destroy() })
  // A connection may end with a reset.
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

/** `once` would take a reset for a failure. */
const gone = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()))

const bytes = (length: number) => new Uint8Array(length).fill(length)

/** Resolves with the next `count` payloads. */
function payloads(socket: Socket, count: number): Promise<number[]> {
  return new Promise((resolve) => {
    const decoder = new FrameDecoder(1 << 20)
    const lengths: number[] = []
    socket.on('data', (chunk) => {
      decoder.push(chunk, (payload) => {
        lengths.push(payload.length)
        return true
      })
      if (lengths.length >= count) resolve(lengths)
    })
  })
}

/** Both have to stand all of this, on every version of Node that is used. */
describe.each<Accepting>(['raw', 'portable'])('a listener for frames, with %s connections', (accepting) => {
  const listen = (handler?: Partial<FramedTcpHandler>, more: object = {}) => open(handler, { accepting, ...more })

  it('answers on IPv4 and on IPv6, on one port', async () => {
    const remotes: string[] = []
    const { port } = await listen({ ...echo, onOpen: ({ remote }) => remotes.push(remote.ip) > 0 })
    for (const host of ['127.0.0.1', '::1']) {
      const socket = await dial(port, host)
      const answer = payloads(socket, 1)
      socket.write(encodeFrame(bytes(70)))
      expect(await answer).toEqual([70])
    }
    expect(remotes).toEqual(['127.0.0.1', '::1'])
  })

  it('takes frames cut anywhere, and several at once', async () => {
    const { port } = await listen()
    const socket = await dial(port)
    const answers = payloads(socket, 3)
    const stream = Buffer.concat([bytes(1), bytes(100), bytes(0)].map(encodeFrame))
    for (const byte of stream.subarray(0, 90)) socket.write(Uint8Array.of(byte))
    socket.write(stream.subarray(90))
    expect(await answers).toEqual([1, 100, 0])
  })

  it('refuses a frame above the limit from its header', async () => {
    const received: number[] = []
    const { port } = await listen({ onMessage: (_, payload) => void received.push(payload.length) })
    const socket = await dial(port)
    const closed = gone(socket)
    socket.write(encodeFrame(bytes(1_001)).subarray(0, 3))
    await closed
    expect(received).toEqual([])
  })

  it('ends a connection whose first message trickles for too long', async () => {
    const { port } = await listen(echo, { firstMessageTimeoutMs: 300 })
    const socket = await dial(port)
    const closed = gone(socket)
    const frame = encodeFrame(bytes(900))
    let at = 0
    const trickle = setInterval(() => socket.write(frame.subarray(at, ++at)), 20)
    await closed
    clearInterval(trickle)
    expect(at).toBeLessThan(900)
  })

  it('ends a connection that is idle after its messages', async () => {
    const { port } = await listen(echo, { idleTimeoutMs: 300 })
    const socket = await dial(port)
    const closed = gone(socket)
    socket.write(encodeFrame(bytes(1)))
    socket.resume()
    await closed
  })

  it('delivers what was sent before it closes, and reads no more of the stream', async () => {
    const received: number[] = []
    const { port } = await listen({
      onMessage: (connection, payload) => {
        received.push(payload.length)
        connection.send(bytes(900))
        connection.close()
      },
    })
    const socket = await dial(port)
    const answer = payloads(socket, 1)
    const ended = once(socket, 'end')
    socket.write(Buffer.concat([encodeFrame(bytes(1)), encodeFrame(bytes(2))]))
    expect(await answer).toEqual([900])
    await ended
    expect(received).toEqual([1])
  })

  it.each(['the server closes it', 'the client ends it', 'the client resets it'])(
    'says of a connection that it is closed once %s',
    async (how) => {
      const heard: FramedTcpConnection[] = []
      const { port } = await listen({ onMessage: (connection) => void heard.push(connection) })
      const socket = await dial(port)
      socket.write(encodeFrame(bytes(1)))
      while (heard.length === 0) await new Promise(setImmediate)
      expect(heard[0]?.isClosed).toBe(false)
      if (how.startsWith('the server')) heard[0]?.close()
      else if (how.endsWith('ends it')) socket.end()
      else socket.resetAndDestroy()
      while (!heard[0]?.isClosed) await new Promise(setImmediate)
    },
  )

  it('takes no message of a connection that it is closing, and ends it though it goes on sending', async () => {
    const received: number[] = []
    const onMessage: FramedTcpHandler['onMessage'] = (connection, payload) => {
      received.push(payload.length)
      // More than the kernel takes from a client that does not read.
      connection.send(new Uint8Array(32 * 1024 * 1024))
      connection.close()
    }
    let isGone = false
    const onClose = () => {
      isGone = true
    }
    const { port } = await listen({ onMessage, onClose }, { idleTimeoutMs: 500 })
    const socket = await dial(port)
    socket.pause()
    const sender = setInterval(() => socket.write(encodeFrame(bytes(1))), 20)
    const deadline = performance.now() + 10_000
    while (!isGone && performance.now() < deadline) await new Promise(setImmediate)
    clearInterval(sender)
    expect(isGone).toBe(true)
    expect(received).toEqual([1])
  })

  it('ends a connection that asks and asks and reads no answer', async () => {
    const { port } = await listen({ onMessage: (connection) => connection.send(new Uint8Array(64 * 1024)) })
    const socket = await dial(port)
    socket.pause()
    const closed = gone(socket)
    const asker = setInterval(
      () => socket.write(Buffer.concat(Array.from({ length: 20 }, () => encodeFrame(bytes(1))))),
      5,
    )
    // A socket that does not read hears of a reset when it writes.
    await closed
    clearInterval(asker)
  })

  it('tells once that a connection is gone, however it went', async () => {
    let gone = 0
    let whenGone: () => void = () => undefined
    const onClose = () => {
      gone++
      whenGone()
    }
    const { port } = await listen({ ...echo, onClose })
    for (const leave of ['end', 'resetAndDestroy'] as const) {
      const socket = await dial(port)
      const answer = payloads(socket, 1)
      socket.write(encodeFrame(bytes(1)))
      await answer
      const told = new Promise<void>((resolve) => {
        whenGone = resolve
      })
      socket[leave]()
      await told
    }
    expect(gone).toBe(2)
  })

  it('closes a connection that is refused, and says no more of it', async () => {
    const seen: FramedTcpConnection[] = []
    const { port } = await listen({ onOpen: () => false, onClose: (connection) => void seen.push(connection) })
    const socket = await dial(port)
    await gone(socket.resume())
    expect(seen).toEqual([])
  })

  it('leaves diverted connections alone', async () => {
    const { port } = await listen(echo, { divert: (socket: Socket) => socket.end('console') === socket })
    const socket = await dial(port)
    const [chunk] = await once(socket, 'data')
    expect(String(chunk)).toBe('console')
  })

  it('fails when the port is taken, and leaves nothing open', async () => {
    const { port } = await listen()
    await expect(listen(echo, { port })).rejects.toMatchObject({ code: 'EADDRINUSE', port })
  })
})
