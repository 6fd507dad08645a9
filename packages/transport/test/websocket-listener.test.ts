import { once } from 'node:events'
import { afterEach, describe, expect, it } from '@jest/globals'
import { WebSocket } from 'ws'
import type { WebSocketConnection } from '../src/websocket-connection.ts'
import { WebSocketListener, type WebSocketListenerOptions } from '../src/websocket-listener.ts'

const opened: WebSocketListener[] = []
const clients: WebSocket[] = []

/** A listener that repeats what it hears. */
async function echo(options: Partial<WebSocketListenerOptions> = {}) {
  const connections: WebSocketConnection[] = []
  let closed = 0
  const listener = await WebSocketListener.open({
    port: 0,
    bind: '127.0.0.1',
    maxMessageBytes: 64 * 1024,
    firstMessageTimeoutMs: 30_000,
    idleTimeoutMs: 30_000,
    trustedProxies: ['127.0.0.0/8'],
    handler: {
      onOpen: (connection) => {
        connections.push(connection)
        return true
      },
      onMessage: (connection, payload) => connection.send(payload),
      onClose: () => {
        closed++
      },
    },
    onError: () => undefined,
    ...options,
  })
  opened.push(listener)
  const connect = async (headers: Record<string, string> = {}) => {
    const client = new WebSocket(`ws://127.0.0.1:${listener.port}/ws/id`, { headers })
    clients.push(client)
    client.on('error', () => undefined)
    await once(client, 'open')
    return client
  }
  return { listener, connections, connect, closed: () => closed }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + 5_000
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what} did not come about`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.terminate()
  for (const listener of opened.splice(0)) await listener.close()
})

describe('a WebSocket listener', () => {
  it('ends the connection of a client that asks on and on and does not read the answers', async () => {
    const { connect, connections, closed } = await echo()
    const client = await connect()
    client.pause()
    let most = 0
    for (let i = 0; i < 2_000 && closed() === 0; i++) {
      client.send(new Uint8Array(60_000))
      most = Math.max(most, connections[0]?.unsentBytes ?? 0)
      await new Promise(setImmediate)
    }
    expect(closed()).toBe(1)
    expect(most).toBeLessThan(512 * 1024)
  })

  it('exchanges binary messages and answers pings, also before the first message', async () => {
    const { connect } = await echo()
    const client = await connect()
    client.ping('x')
    const [pong] = (await once(client, 'pong')) as [Buffer]
    expect(String(pong)).toBe('x')
    client.send('a text is no message')
    client.send(Buffer.from('hello'))
    const [answer] = (await once(client, 'message')) as [Buffer]
    expect(String(answer)).toBe('hello')
  })

  it('knows the client behind a trusted proxy', async () => {
    const { connect, connections } = await echo()
    await connect({ 'X-Real-IP': '203.0.113.7' })
    await connect({ 'X-Forwarded-For': '198.51.100.66, 2001:db8::7' })
    expect(connections.map(({ remote }) => remote)).toEqual([
      { ip: '203.0.113.7', port: 0 },
      { ip: '2001:db8::7', port: 0 },
    ])
  })

  it('ends a connection whose first message does not come in time, pings or not', async () => {
    const { connect, closed } = await echo({ firstMessageTimeoutMs: 200 })
    const client = await connect()
    const pings = setInterval(() => client.readyState === WebSocket.OPEN && client.ping(), 20)
    const [code] = await once(client, 'close')
    clearInterval(pings)
    expect(code).toBe(1006)
    await until('the handler is told', () => closed() === 1)
  })

  it('ends a connection that is idle, but a ping is activity', async () => {
    const { connect } = await echo({ idleTimeoutMs: 300 })
    const client = await connect()
    client.send(Buffer.from('hello'))
    const startedAt = performance.now()
    const pings = setInterval(() => client.ping(), 50)
    setTimeout(() => clearInterval(pings), 600)
    await once(client, 'close')
    expect(performance.now() - startedAt).toBeGreaterThan(850)
  })

  it('ends a connection at the header of a message that is too long', async () => {
    const { connect, closed } = await echo({ maxMessageBytes: 100 })
    const client = await connect()
    client.send(Buffer.alloc(101))
    await once(client, 'close')
    await until('the handler is told', () => closed() === 1)
  })

  it('answers a close message', async () => {
    const { connect } = await echo()
    const client = await connect()
    client.close(1000)
    const [code] = await once(client, 'close')
    expect(code).toBe(1000)
  })

  it('says of a connection that it is closed, whoever closes it', async () => {
    const { connect, connections } = await echo()
    await connect()
    const second = await connect()
    expect(connections.map(({ isClosed }) => isClosed)).toEqual([false, false])
    connections[0]?.close()
    second.terminate()
    await until('the end of both', () => connections.every(({ isClosed }) => isClosed))
  })

  it('sends what was written before it closes, and no close message', async () => {
    const { connect } = await echo({
      handler: {
        onOpen: () => true,
        onMessage: (connection) => {
          connection.send(Buffer.alloc(60_000))
          connection.close()
        },
        onClose: () => undefined,
      },
    })
    const client = await connect()
    let arrived = 0
    client.on('message', (data: Buffer) => {
      arrived = data.length
    })
    client.send(Buffer.from('x'))
    const [code] = await once(client, 'close')
    expect([code, arrived]).toEqual([1006, 60_000])
  })

  it('refuses whom its handler refuses, without telling it of the end', async () => {
    let closed = 0
    const { listener } = await echo({
      handler: { onOpen: () => false, onMessage: () => undefined, onClose: () => closed++ },
    })
    const client = new WebSocket(`ws://127.0.0.1:${listener.port}/`)
    client.on('error', () => undefined)
    await new Promise((resolve) => client.once('close', resolve))
    await listener.close()
    expect(closed).toBe(0)
  })

  it('ends everything when it is closed, twice if need be', async () => {
    const { connect, listener, closed } = await echo()
    const client = await connect()
    client.send(Buffer.from('hello'))
    await once(client, 'message')
    await connect()
    await Promise.all([listener.close(), listener.close()])
    expect(closed()).toBe(2)
    await expect(fetch(`http://127.0.0.1:${listener.port}`)).rejects.toThrow()
  })
})
