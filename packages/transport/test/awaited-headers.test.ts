import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { encodeFrame } from '@tryst/protocol'
import type { HalfListener, RelayHalf } from '@tryst/relay'
import type { AwaitedHeadersOptions } from '../src/awaited-headers.ts'
import { ConnectionGuard } from '../src/connection-guard.ts'
import { FramedTcpListener } from '../src/framed-tcp.ts'
import type { SocketReading } from '../src/socket-reading.ts'
import { TcpHalfListener } from '../src/tcp-half-listener.ts'

const PROXY = '127.0.0.9'
const HEADER = Buffer.from('PROXY TCP4 203.0.113.7 192.0.2.1 50000 21117\r\n')
const LOCAL = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex')

/** What a listener has heard of one connection. */
interface Heard {
  readonly ip: string
  readonly port: number
  bytes: Buffer
  isOver: boolean
}

interface Listening {
  readonly port: number
  readonly heard: Heard[]
  readonly failures: string[]
  close(): unknown
}

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

function awaitedHeaders(timeoutMs: number) {
  const failures: string[] = []
  const headers: AwaitedHeadersOptions = {
    trustedProxies: [`${PROXY}/32`],
    timeoutMs,
    onFailure: (failure, ip) => failures.push(`${failure} ${ip}`),
  }
  return { headers, failures }
}

const onError = (error: Error) => {
  throw error
}

async function listenForFrames(timeoutMs = 5_000): Promise<Listening> {
  const { headers, failures } = awaitedHeaders(timeoutMs)
  const heard = new Map<object, Heard>()
  const listener = await FramedTcpListener.open({
    ...{ port: 0, bind: '127.0.0.1', maxFrameBytes: 1 << 20, firstMessageTimeoutMs: 5_000, idleTimeoutMs: 5_000 },
    ...{ headers, onError },
    handler: {
      onOpen: (connection) => {
        const { ip, port } = connection.remote
        heard.set(connection, { ip, port, bytes: Buffer.alloc(0), isOver: false })
        return true
      },
      onMessage: (connection, payload) => {
        const entry = heard.get(connection)
        if (entry) entry.bytes = Buffer.concat([entry.bytes, payload])
      },
      onClose: (connection) => {
        const entry = heard.get(connection)
        if (entry) entry.isOver = true
      },
    },
  })
  ends.push(() => listener.close())
  return {
    port: listener.port,
    get heard() {
      return [...heard.values()]
    },
    failures,
    close: () => listener.close(),
  }
}

async function listenForHalves(reading: SocketReading, timeoutMs = 5_000): Promise<Listening> {
  const { headers, failures } = awaitedHeaders(timeoutMs)
  const heard: Heard[] = []
  const halves: RelayHalf[] = []
  const guard = new ConnectionGuard<RelayHalf>({ perSource: 100, total: 100 })
  const listener = await TcpHalfListener.open({
    ...{ port: 0, bind: '127.0.0.1', reading, guard, headers, onError },
    refuses: (ip) => ip === '198.51.100.1',
    divert: () => false,
    onPortable: () => undefined,
    onOpen: (half) => {
      halves.push(half)
      const entry: Heard = { ...half.remote, bytes: Buffer.alloc(0), isOver: false }
      heard.push(entry)
      half.listen({
        onBytes: (bytes: Uint8Array) => {
          entry.bytes = Buffer.concat([entry.bytes, bytes])
          // Every piece is kept for a moment, as those are that wait for a slow partner.
          setImmediate(() => half.resume())
          return false
        },
        onEnd: () => {
          entry.isOver = true
          half.close()
        },
        onClose: () => undefined,
        onActivity: () => undefined,
        onDrain: () => undefined,
        onOversized: () => undefined,
      } satisfies HalfListener)
    },
  })
  ends.push(() => {
    listener.close()
    for (const half of halves) half.destroy()
  })
  return { port: listener.port, heard, failures, close: () => listener.close() }
}

async function dial({ port }: Listening, from = PROXY): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from, noDelay: true })
  socket.on('error', () => undefined)
  ends.push(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + 5_000
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what} did not come about`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

const KINDS = [
  ['frames', listenForFrames, encodeFrame],
  ['halves that are read the pooled way', (ms?: number) => listenForHalves('pooled', ms), (b: Uint8Array) => b],
  ['halves that are read the portable way', (ms?: number) => listenForHalves('portable', ms), (b: Uint8Array) => b],
] as const

describe.each(KINDS)('connections of trusted proxies to a listener for %s', (_kind, listen, wrap) => {
  const payload = Buffer.alloc(200_000, 'all that the client has to say ')

  it("are the client's, from the first byte behind the header", async () => {
    const at = await listen()
    const socket = await dial(at)
    socket.write(Buffer.concat([HEADER, wrap(payload)]))
    await until('everything', () => at.heard[0]?.bytes.length === payload.length)
    expect(at.heard[0]).toEqual({ ip: '203.0.113.7', port: 50_000, bytes: payload, isOver: false })
    socket.destroy()
    await until('its end', () => at.heard[0]?.isOver === true)
    expect(at.failures).toEqual([])
  })

  it('may send the header in pieces, and the message later', async () => {
    const at = await listen()
    const socket = await dial(at)
    for (const byte of HEADER.subarray(0, -1)) {
      socket.write(Uint8Array.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(at.heard).toEqual([])
    socket.write(Buffer.concat([HEADER.subarray(-1), wrap(Buffer.from('first'))]))
    await until('the first', () => at.heard[0]?.bytes.toString() === 'first')
    socket.write(wrap(Buffer.from(' second')))
    await until('the second', () => at.heard[0]?.bytes.toString() === 'first second')
  })

  it("are the proxy's own when it says so", async () => {
    const at = await listen()
    const socket = await dial(at)
    socket.write(Buffer.concat([LOCAL, wrap(Buffer.from('hello'))]))
    await until('the message', () => at.heard[0]?.bytes.toString() === 'hello')
    expect(at.heard[0]).toMatchObject({ ip: PROXY, port: socket.localPort })
  })

  it.each([
    ['no_header', wrap(Buffer.from('hello'))],
    ['malformed', Buffer.from('PROXY TCP4 nobody nobody 1 2\r\n')],
    ['too_long', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(200)}`)],
  ])('are closed for their header: %s', async (failure, bytes) => {
    const at = await listen()
    const socket = await dial(at)
    socket.write(bytes)
    await once(socket, 'close')
    expect(at.failures).toEqual([`${failure} ${PROXY}`])
    expect(at.heard).toEqual([])
  })

  it('are closed when the header trickles for too long', async () => {
    const at = await listen(150)
    const socket = await dial(at)
    const trickle = setInterval(() => socket.write('P'), 1_000)
    socket.write('PROXY')
    await once(socket.resume(), 'close')
    clearInterval(trickle)
    expect(at.failures).toEqual([`timeout ${PROXY}`])
  })

  it.each(['end', 'resetAndDestroy'] as const)('may leave without a word: %s', async (how) => {
    const at = await listen(200)
    const silent = await dial(at)
    const silentGone = once(silent.resume(), 'close')
    silent[how]()
    await silentGone
    const begun = await dial(at)
    begun.write('PROXY', () => begun[how]())
    await until('the other is gone', () => at.failures.length === 1)
    // Had the first one been waited for still, its time would be over by now.
    const late = await dial(at)
    await once(late.resume(), 'close')
    expect(at.failures).toEqual([`ended_early ${PROXY}`, `timeout ${PROXY}`])
  })

  it('are nobody when they have not said whose they are and the listener closes', async () => {
    const at = await listen()
    const socket = await dial(at)
    socket.write('PROXY')
    const other = await dial(at)
    other.write(Buffer.concat([HEADER, wrap(Buffer.from('hello'))]))
    await until('the other is there', () => at.heard.length === 1)
    await Promise.all([once(socket.resume(), 'close'), at.close()])
    expect(at.failures).toEqual([])
  })

  it('have no say when they come from somebody else', async () => {
    const at = await listen()
    const socket = await dial(at, '127.0.0.8')
    const message = Buffer.from('hello')
    socket.write(wrap(message))
    await until('the message', () => at.heard[0]?.bytes.equals(message) === true)
    expect(at.heard[0]).toMatchObject({ ip: '127.0.0.8', port: socket.localPort })
    const liar = await dial(at, '127.0.0.8')
    liar.write(Buffer.concat([HEADER, wrap(message)]))
    await until('the liar', () => at.heard.length === 2)
    expect(at.heard[1]?.ip).toBe('127.0.0.8')
  })
})

it('closes a half whose client is blocked', async () => {
  const at = await listenForHalves('pooled')
  const socket = await dial(at)
  socket.write('PROXY TCP4 198.51.100.1 192.0.2.1 50000 21117\r\nhello')
  await once(socket.resume(), 'close')
  expect(at.heard).toEqual([])
})
