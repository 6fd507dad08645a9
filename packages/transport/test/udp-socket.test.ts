import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { afterEach, describe, expect, it } from '@jest/globals'
import { UdpPort } from '../src/udp-socket.ts'

const isBatchable = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch)
/** The whole batch and more than a few of them. */
const MANY = 400

const ways = [
  ['one by one', 'off'],
  ['in batches', 'where-possible'],
] as const

describe.each(ways)('the UDP port, %s', (_name, batches) => {
  const opened: { close(): unknown }[] = []

  afterEach(async () => {
    for (const one of opened.splice(0)) await one.close()
  })

  async function open(more: object = {}): Promise<UdpPort> {
    const port = await UdpPort.open({
      port: 0,
      bind: undefined,
      receiveBufferBytes: 1 << 20,
      onDatagram: (datagram, ip, port, from) => from.send(Buffer.from(`${ip}|${datagram.length}`), ip, port),
      onError: (error) => {
        throw error
      },
      batches,
      ...more,
    })
    opened.push(port)
    return port
  }

  async function client(type: 'udp4' | 'udp6' = 'udp4', address = type === 'udp4' ? '127.0.0.1' : '::1') {
    const socket = createSocket({ type, recvBufferSize: 1 << 20 })
    opened.push(socket)
    socket.bind(0, address)
    await once(socket, 'listening')
    return socket
  }

  async function ask(type: 'udp4' | 'udp6', host: string, port: number, bytes = 3): Promise<string> {
    const socket = await client(type)
    const answered = once(socket, 'message')
    socket.send(Buffer.alloc(bytes), port, host)
    const [answer] = await answered
    return String(answer)
  }

  /** Sends them all before the port gets to read the first. */
  function flood(socket: Socket, udp: UdpPort, payloads: readonly Uint8Array[]): void {
    for (const payload of payloads) socket.send(payload, udp.port, '127.0.0.1')
  }

  function collect(socket: Socket, count: number): Promise<string[]> {
    const { promise, resolve } = Promise.withResolvers<string[]>()
    const messages: string[] = []
    socket.on('message', (message) => {
      if (messages.push(String(message)) === count) resolve(messages)
    })
    return promise
  }

  const numbered = (count: number) => Array.from({ length: count }, (_, i) => Buffer.from(`datagram ${i}`))

  it('is what it says', async () => {
    expect((await open()).isBatched).toBe(batches !== 'off' && isBatchable)
    expect((await open({ bind: '::1' })).isBatched).toBe(false)
  })

  it('shows plain addresses of both families, and answers from the port that was asked', async () => {
    const udp = await open()
    expect(await ask('udp4', '127.0.0.1', udp.port)).toBe('127.0.0.1|3')
    expect(await ask('udp6', '::1', udp.port)).toBe('::1|3')
    await udp.close()
    await udp.close()
  })

  it('pushes to an address by its family', async () => {
    const udp = await open()
    for (const [type, host] of [
      ['udp4', '127.0.0.1'],
      ['udp6', '::1'],
    ] as const) {
      const socket = await client(type)
      const pushed = once(socket, 'message')
      udp.send(Buffer.from('push'), host, socket.address().port)
      const [message, { port }] = await pushed
      expect(String(message)).toBe('push')
      expect(port).toBe(udp.port)
    }
    await udp.close()
    // Nothing is sent any more, and nothing is thrown.
    udp.send(Buffer.from('late'), '127.0.0.1', 9)
  })

  it('goes on when something cannot be sent', async () => {
    const udp = await open()
    // Too long for a datagram; no route to that network.
    udp.send(Buffer.alloc(70_000), '127.0.0.1', 9)
    udp.send(Buffer.from('x'), '255.255.255.255', 9)
    expect(await ask('udp4', '127.0.0.1', udp.port)).toBe('127.0.0.1|3')
  })

  it.each(['127.0.0.1', undefined])('fails as Node does when the port is taken on %s', async (bind) => {
    const udp = await open({ bind })
    await expect(open({ bind, port: udp.port })).rejects.toMatchObject({
      code: 'EADDRINUSE',
      syscall: 'bind',
      address: bind ?? '0.0.0.0',
      port: udp.port,
    })
  })

  it('fails as Node does for an address that is not here', async () => {
    await expect(open({ bind: '192.0.2.1' })).rejects.toMatchObject({ code: 'EADDRNOTAVAIL', address: '192.0.2.1' })
  })

  it('lets nobody else have its port, even one who is ready to share', async () => {
    const udp = await open({ bind: '127.0.0.1' })
    const greedy = createSocket({ type: 'udp4', reuseAddr: true })
    opened.push(greedy)
    greedy.bind(udp.port, '127.0.0.1')
    const [error] = await once(greedy, 'error')
    expect(error).toMatchObject({ code: 'EADDRINUSE' })
  })

  it('answers each of many datagrams that come one after the other', async () => {
    const udp = await open({
      onDatagram: (datagram: Uint8Array, ip: string, port: number, from: UdpPort) => from.send(datagram, ip, port),
    })
    const socket = await client()
    const payloads = numbered(3_000)
    const answers = collect(socket, payloads.length)
    // Some two to twenty a millisecond: where pausing pays.
    for (const [i, payload] of payloads.entries()) {
      socket.send(payload, udp.port, '127.0.0.1')
      if (i % 2 === 0) await new Promise(setImmediate)
    }
    expect(await answers).toEqual(payloads.map(String))
  })

  it('answers each of many datagrams that are there at once, in order', async () => {
    const udp = await open({
      onDatagram: (datagram: Uint8Array, ip: string, port: number, from: UdpPort) => from.send(datagram, ip, port),
    })
    const socket = await client()
    for (let round = 0; round < 5; round++) {
      const payloads = numbered(MANY)
      const answers = collect(socket, MANY)
      flood(socket, udp, payloads)
      expect(await answers).toEqual(payloads.map(String))
      socket.removeAllListeners('message')
    }
  })

  it('answers each sender, several times where that is called for', async () => {
    const udp = await open({
      onDatagram: (datagram: Uint8Array, ip: string, port: number, from: UdpPort) => {
        from.send(Buffer.from(`${ip} first ${datagram.length}`), ip, port)
        from.send(Buffer.from(`${ip} second`), ip, port)
        from.send(Buffer.from('another'), '127.0.0.1', other.address().port)
      },
    })
    const other = await client()
    const sockets = await Promise.all(['127.0.0.1', '127.0.0.2', '127.20.30.40'].map((ip) => client('udp4', ip)))
    const others = collect(other, 3 * 50)
    const answers = sockets.map((socket) => collect(socket, 2 * 50))
    for (let i = 0; i < 50; i++) for (const socket of sockets) socket.send(Buffer.alloc(i), udp.port, '127.0.0.1')
    for (const [i, socket] of sockets.entries()) {
      const { address } = socket.address()
      expect(await answers[i]).toEqual(
        Array.from({ length: 50 }, (_, length) => [`${address} first ${length}`, `${address} second`]).flat(),
      )
    }
    expect(await others).toHaveLength(150)
  })

  it('hands over datagrams of every size whole', async () => {
    const sizes = [0, 1, 39, 40, 41, 1472, 2048, 65_507, 8, 0, 65_507, 65_506, 3]
    const seen: string[] = []
    const all = Promise.withResolvers<void>()
    const udp = await open({
      receiveBufferBytes: 4 << 20,
      onDatagram: (datagram: Uint8Array) => {
        const [first] = datagram
        seen.push(`${datagram.length} of ${datagram.every((byte) => byte === first) ? first : 'mixed bytes'}`)
        if (seen.length === sizes.length) all.resolve()
      },
    })
    const socket = await client()
    flood(
      socket,
      udp,
      sizes.map((size, i) => Buffer.alloc(size, i)),
    )
    await all.promise
    expect(seen).toEqual(sizes.map((size, i) => `${size} of ${size === 0 ? undefined : i}`))
  })

  it('sends answers of every size whole and in order', async () => {
    const sizes = [8, 1024, 1025, 0, 60_000, 3, 1472]
    const udp = await open({
      onDatagram: (datagram: Uint8Array, ip: string, port: number, from: UdpPort) =>
        from.send(Buffer.alloc(sizes[datagram[0] as number] as number, datagram[0]), ip, port),
    })
    const socket = await client()
    const answers = collect(socket, sizes.length)
    flood(
      socket,
      udp,
      sizes.map((_, i) => Uint8Array.of(i)),
    )
    expect(await answers).toEqual(sizes.map((size, i) => String(Buffer.alloc(size, i))))
  })

  it('loses no answer but the one that cannot be sent', async () => {
    const udp = await open({
      onDatagram: (datagram: Uint8Array, ip: string, port: number, from: UdpPort) => {
        // Broadcasts, which the system refuses.
        from.send(Buffer.from('x'), '127.255.255.255', 9)
        from.send(datagram, ip, port)
        from.send(Buffer.from('x'), '255.255.255.255', 9)
      },
    })
    const socket = await client()
    const payloads = numbered(MANY)
    const answers = collect(socket, MANY)
    flood(socket, udp, payloads)
    expect(await answers).toEqual(payloads.map(String))
  })

  it('receives nothing after it was closed from inside of a batch, but what was answered has left', async () => {
    let received = 0
    const closed = Promise.withResolvers<void>()
    const udp = await open({
      onDatagram: (datagram: Uint8Array, ip: string, port: number, from: UdpPort) => {
        from.send(datagram, ip, port)
        if (++received === 100) udp.close().then(closed.resolve, closed.reject)
      },
    })
    const socket = await client()
    const payloads = numbered(MANY)
    const answers = collect(socket, 100)
    flood(socket, udp, payloads)
    expect(await answers).toEqual(payloads.slice(0, 100).map(String))
    await closed.promise
    flood(socket, udp, payloads)
    await ask('udp4', '127.0.0.1', (await open()).port)
    expect(received).toBe(100)
  })

  const onLinux = process.platform === 'linux' ? it : it.skip
  onLinux(`gives its descriptors back${process.platform === 'linux' ? '' : ' (seen on Linux only)'}`, async () => {
    const sockets = () =>
      readdirSync('/proc/self/fd').filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')
        } catch {
          return false // That of the listing itself.
        }
      }).length
    const before = sockets()
    const udp = await open({ bind: '127.0.0.1' })
    await expect(open({ bind: '127.0.0.1', port: udp.port })).rejects.toThrow()
    expect(sockets()).toBe(before + 1)
    await Promise.all([udp.close(), udp.close()])
    expect(sockets()).toBe(before)
    // Its number belongs to somebody else now.
    const next = await open({ bind: '127.0.0.1' })
    udp.send(Buffer.from('late'), '127.0.0.1', 9)
    await udp.close()
    expect(await ask('udp4', '127.0.0.1', next.port)).toBe('127.0.0.1|3')
  })
})
