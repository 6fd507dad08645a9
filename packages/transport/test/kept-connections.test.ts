import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { encodeFrame } from '@tryst/protocol'
import { WebSocket } from 'ws'
import { type FramedTcpConnection, FramedTcpListener } from '../src/framed-tcp.ts'
import type { WebSocketConnection } from '../src/websocket-connection.ts'
import { WebSocketListener } from '../src/websocket-listener.ts'

const IDLE_TIMEOUT_MS = 200

type Connection = FramedTcpConnection | WebSocketConnection

/** A client of either listener. */
interface Client {
  send(payload: Uint8Array): void
  /** Lets the kernel keep what comes. */
  stopReading(): void
  isClosed(): boolean
  close(): void
}

const opened: { close(): unknown }[] = []
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close()
})

/** A listener that keeps connections whose first message is one byte long. */
async function listen(kind: 'TCP' | 'WebSocket') {
  const connections: Connection[] = []
  const ended: Connection[] = []
  let messages = 0
  const handler = {
    onOpen: (connection: Connection) => connections.push(connection) > 0,
    onMessage: (connection: Connection, payload: Uint8Array) => {
      messages++
      if (payload.length === 1) connection.keep()
    },
    onClose: (connection: Connection) => void ended.push(connection),
  }
  const options = {
    ...{ port: 0, bind: '127.0.0.1', firstMessageTimeoutMs: 30_000, idleTimeoutMs: IDLE_TIMEOUT_MS, handler },
    onError: (error: Error) => {
      throw error
    },
  }
  const listener =
    kind === 'TCP'
      ? await FramedTcpListener.open({ ...options, maxFrameBytes: 1_000 })
      : await WebSocketListener.open({ ...options, maxMessageBytes: 1_000, trustedProxies: [] })
  opened.push(listener)
  const dial = async () => {
    const client = kind === 'TCP' ? await dialTcp(listener.port) : await dialWebSocket(listener.port)
    opened.push(client)
    return client
  }
  return { listener, connections, ended, dial, messages: () => messages }
}

async function dialTcp(port: number): Promise<Client> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.on('error', () => undefined).resume()
  return {
    send: (payload) => void socket.write(encodeFrame(payload)),
    stopReading: () => void socket.pause(),
    isClosed: () => socket.closed || socket.readableEnded,
    close: () => void socket.destroy(),
  }
}

async function dialWebSocket(port: number): Promise<Client> {
  const webSocket = new WebSocket(`ws://127.0.0.1:${port}`)
  webSocket.on('error', () => undefined)
  await once(webSocket, 'open')
  return {
    send: (payload) => webSocket.send(payload),
    stopReading: () => webSocket.pause(),
    isClosed: () => webSocket.readyState !== WebSocket.OPEN,
    close: () => webSocket.terminate(),
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what} did not come about`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

describe.each(['TCP', 'WebSocket'] as const)('a connection over %s that is kept', (kind) => {
  it('may be idle, where others are ended', async () => {
    const { dial, ended, connections, messages } = await listen(kind)
    const [kept, other] = [await dial(), await dial()]
    kept.send(Uint8Array.of(1))
    other.send(Uint8Array.of(1, 2))
    await until('both are heard', () => messages() === 2)
    await until('the other is ended', () => other.isClosed())
    expect(ended).toHaveLength(1)
    expect(kept.isClosed()).toBe(false)
    // Whatever it says later, it stays so.
    kept.send(Uint8Array.of(1, 2, 3))
    await until('it is heard', () => messages() === 3)
    const later = performance.now() + 3 * IDLE_TIMEOUT_MS
    await until('others would be ended by now', () => performance.now() > later)
    expect(kept.isClosed()).toBe(false)
    expect(connections.filter(({ isClosed }) => !isClosed)).toHaveLength(1)
    kept.close()
    await until('its end is told', () => ended.length === 2)
  })

  it('is ended with its listener', async () => {
    const { dial, ended, messages, listener } = await listen(kind)
    const kept = await dial()
    kept.send(Uint8Array.of(1))
    await until('it is heard', () => messages() === 1)
    await listener.close()
    await until('its client knows', () => kept.isClosed())
    expect(ended).toHaveLength(1)
  })

  it('says how much of what it sent has not left', async () => {
    const { dial, connections, messages } = await listen(kind)
    const client = await dial()
    client.send(Uint8Array.of(1))
    await until('it is heard', () => messages() === 1)
    const [connection] = connections
    expect(connection?.unsentBytes).toBe(0)
    client.stopReading()
    // More than the kernel takes, less than a connection is ended for.
    await until('something is left', () => {
      connection?.send(new Uint8Array(64 * 1024))
      return (connection?.unsentBytes ?? 0) > 0
    })
    expect(connection?.isClosed).toBe(false)
  })
})
