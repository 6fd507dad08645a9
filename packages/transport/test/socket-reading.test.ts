import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { type ReadSocket, readAccepted, type SocketReading } from '../src/socket-reading.ts'

const READINGS: SocketReading[] = ['pooled', 'portable']

/** Both ways of reading have to stand all of this, on every version of Node that is used. */
describe.each(READINGS)('reading accepted sockets the %s way', (reading) => {
  const ends: (() => void)[] = []
  let server: Server

  /** A client, and what the server reads it with. */
  async function open(listener: (bytes: Uint8Array, read: ReadSocket) => boolean) {
    server = createServer({ pauseOnConnect: true, allowHalfOpen: true, highWaterMark: 1, noDelay: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const accepted = once(server, 'connection')
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const [socket] = (await accepted) as [Socket]
    const read: ReadSocket = readAccepted(socket, reading, (bytes) => listener(bytes, read))
    read.socket.on('error', () => undefined)
    client.on('error', () => undefined)
    ends.push(
      () => client.destroy(),
      () => read.socket.destroy(),
      () => server.close(),
    )
    return { client, read }
  }

  const until = async (what: string, condition: () => boolean) => {
    const end = performance.now() + 5_000
    while (!condition()) {
      if (performance.now() > end) throw new Error(`${what} did not come about`)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }

  afterEach(() => {
    for (const end of ends.splice(0)) end()
  })

  it('is what was asked for', async () => {
    const { read } = await open(() => true)
    expect(read.reading).toBe(reading)
  })

  it('hands over every byte in order, whatever the size of the reads', async () => {
    const parts: Buffer[] = []
    const { client } = await open((bytes) => {
      parts.push(Buffer.from(bytes))
      return true
    })
    const sent = randomBytes(8 * 1024 * 1024)
    for (let at = 0, size = 1; at < sent.length; at += size, size = (size * 3) % 300_000) {
      client.write(sent.subarray(at, at + size))
      if (size < 5_000) await new Promise((resolve) => setImmediate(resolve))
      size ||= 1
    }
    const arrived = () => parts.reduce((sum, { length }) => sum + length, 0)
    await until('everything', () => arrived() >= sent.length)
    expect(Buffer.concat(parts).equals(sent)).toBe(true)
  })

  it('leaves bytes alone that are in use, and reads no further until they are free', async () => {
    const lent: { bytes: Uint8Array; copy: Buffer }[] = []
    const { client, read } = await open((bytes) => {
      lent.push({ bytes, copy: Buffer.from(bytes) })
      return false
    })
    const sent = randomBytes(4 * 1024 * 1024)
    client.write(sent)
    const all: Buffer[] = []
    while (all.reduce((sum, { length }) => sum + length, 0) < sent.length) {
      await until('a read', () => lent.length > 0)
      await new Promise((resolve) => setTimeout(resolve, 2))
      expect(lent.length).toBe(1)
      const [{ bytes, copy }] = lent.splice(0) as [{ bytes: Uint8Array; copy: Buffer }]
      expect(copy.equals(bytes)).toBe(true)
      all.push(copy)
      read.resume()
    }
    expect(Buffer.concat(all).equals(sent)).toBe(true)
  })

  it('tells the end of the stream after the last byte, and can still write', async () => {
    const order: string[] = []
    const { client, read } = await open((bytes) => {
      order.push(String(Buffer.from(bytes)))
      return true
    })
    read.socket.on('end', () => order.push('end'))
    client.end('bye')
    await until('the end', () => order.includes('end'))
    expect(order).toEqual(['bye', 'end'])
    read.socket.end('so long')
    const [answer] = (await once(client, 'data')) as [Buffer]
    expect(String(answer)).toBe('so long')
    await once(read.socket, 'close')
  })

  it('tells a reset', async () => {
    const { client, read } = await open(() => true)
    const closed = new Promise((resolve) => read.socket.once('close', resolve))
    client.resetAndDestroy()
    expect(await closed).toBe(true)
  })

  it('says by drain when the kernel has taken what had to wait, however little that was', async () => {
    const { client, read } = await open(() => true)
    client.pause()
    const block = Buffer.alloc(64 * 1024)
    while (read.socket.writableLength === 0) read.socket.write(block)
    const before = read.unsentBytes()
    expect(before).toBeGreaterThan(0)
    const drained = once(read.socket, 'drain')
    client.resume()
    await drained
    expect(read.socket.writableLength).toBe(0)
    expect(read.unsentBytes()).toBe(0)
  })

  it('has nothing left to write when the kernel took all at once', async () => {
    const { read } = await open(() => true)
    read.socket.write(Buffer.alloc(1000))
    expect(read.socket.writableLength).toBe(0)
  })

  it('knows the address of the client', async () => {
    const { client, read } = await open(() => true)
    expect(read.socket.remotePort).toBe(client.localPort)
  })

  it('leaves nothing behind that keeps its server from closing', async () => {
    const { client, read } = await open(() => true)
    read.socket.destroy()
    client.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
})

describe('reading accepted sockets', () => {
  it('falls back to the portable way where Node has no such inside', async () => {
    const server = createServer({ pauseOnConnect: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect((server.address() as { port: number }).port, '127.0.0.1')
    const [socket] = (await once(server, 'connection')) as [Socket]
    const handle = Reflect.get(socket, '_handle') as object
    Reflect.set(handle, 'useUserBuffer', undefined)
    const read = readAccepted(socket, 'pooled', () => true)
    expect(read.reading).toBe('portable')
    client.destroy()
    socket.destroy()
    server.close()
  })
})
