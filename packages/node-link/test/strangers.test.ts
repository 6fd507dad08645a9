import { once } from 'node:events'
import { connect as connectTcp, createServer, type Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { afterEach, describe, expect, it } from '@jest/globals'
import { encodeFrame } from '@tryst/protocol'
import type { NodeId } from '@tryst/rendezvous'
import { link } from '../src/generated/link.js'
import { encodeGreeting } from '../src/greeting.ts'
import { keyHintOf } from '../src/link-key.ts'
import { parseAddress } from '../src/node-address.ts'
import { clientTlsOptions, makeLinkKey } from '../src/tls-psk.ts'
import { closeNodes, drawSecretKey, SECRET_KEY, startNode, type TestNode, until } from './nodes.ts'

const sockets: { destroy(): void }[] = []
afterEach(() => {
  closeNodes()
  for (const socket of sockets.splice(0)) socket.destroy()
})

const placeOf = (node: TestNode) => parseAddress(node.target.address) ?? { host: '', port: 0 }

/** A bare connection, and everything that comes over it. */
function stranger(node: TestNode) {
  const socket = connectTcp(placeOf(node))
  sockets.push(socket)
  const got: Buffer[] = []
  socket.on('data', (bytes) => got.push(bytes))
  socket.on('error', () => undefined)
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  return { socket, got, closed }
}

/** A connection that has proved to have the key and has not greeted yet. */
async function proven(node: TestNode) {
  const socket = connectTls({ ...placeOf(node), ...clientTlsOptions(makeLinkKey(SECRET_KEY, 'by hand')) })
  sockets.push(socket)
  socket.on('error', () => undefined)
  const got: Buffer[] = []
  socket.on('data', (bytes) => got.push(bytes))
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  await once(socket, 'secureConnect')
  return { socket, got, closed, text: () => Buffer.concat(got) }
}

const self = (node: TestNode) => ({
  greeting: { major: 1, minor: 0, program: '1.2.3', incarnation: 'by-hand', name: 'by hand' },
  wanted: node.target.incarnation,
})

describe('a stranger who connects to a node', () => {
  it('is sent nothing and is turned away when it does not speak TLS', async () => {
    const node = await startNode()
    for (const garbage of ['GET / HTTP/1.1\r\n\r\n', '\0'.repeat(300), 'x'.repeat(100_000)]) {
      const { socket, got, closed } = stranger(node)
      socket.write(garbage)
      await closed
      // At most the word of TLS that this is none.
      expect(Buffer.concat(got).length).toBeLessThanOrEqual(7)
    }
    await until('it stands in the log', () => node.log.length > 0)
    expect(node.log).toEqual(['refused 127.0.0.1 not-a-node'])
  })

  it('is turned away when it does not prove itself in time, however it dallies', async () => {
    const node = await startNode({ limits: { proofDeadlineMs: 300 } })
    const startMs = performance.now()
    const silent = stranger(node)
    const dripping = stranger(node)
    const drip = setInterval(() => dripping.socket.write('\x16'), 50)
    const mute = await proven(node)
    await Promise.all([silent.closed, dripping.closed, mute.closed])
    clearInterval(drip)
    expect(performance.now() - startMs).toBeLessThan(2_000)
    expect([...silent.got, ...mute.got]).toEqual([])
    expect(node.log).toContain('refused 127.0.0.1 slow')
  })

  it('meets few others: connections that prove nothing are bounded, and nodes get in again afterwards', async () => {
    const node = await startNode({ limits: { maxUnprovenOfSource: 8, proofDeadlineMs: 500 } })
    const many = Array.from({ length: 40 }, () => stranger(node))
    let closed = 0
    for (const one of many) void one.closed.then(() => closed++)
    await until('those beyond the bound are turned away', () => closed >= 32)
    expect(node.log).toEqual(['refused 127.0.0.1 too-many'])
    await Promise.all(many.map((one) => one.closed))
    const other = await startNode()
    expect(await other.links.hasStore(node.target)).toBe(true)
  })

  it('with another key is refused on both sides, and named', async () => {
    const otherKey = drawSecretKey()
    const node = await startNode()
    const other = await startNode({ secretKey: otherKey, name: 'stranger' })
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(
        other.links.hasStore({ ...node.target, incarnation: `i${attempt}` as NodeId }),
      ).rejects.toMatchObject({
        reason: 'other-key',
      })
    }
    expect(node.log).toEqual([`refused 127.0.0.1 other-key node stranger with key ${keyHintOf(otherKey)}…`])
    expect(other.log).toEqual(['unreachable other-key'])
  })

  it('that only knows the name of our key is refused', async () => {
    const node = await startNode()
    const key = { ...makeLinkKey(drawSecretKey(), 'liar'), identity: makeLinkKey(SECRET_KEY, 'liar').identity }
    const socket = connectTls({ ...placeOf(node), ...clientTlsOptions(key) })
    sockets.push(socket)
    const [error] = await once(socket, 'error')
    expect(String(error)).toContain('decrypt error')
    await until('it stands in the log', () => node.log.length > 0)
    expect(node.log).toEqual(['refused 127.0.0.1 other-key'])
  })

  it('writes nothing into the log but printable characters', async () => {
    const node = await startNode()
    const key = { ...makeLinkKey(drawSecretKey(), ''), identity: `evil\n\u001b[31m${'x'.repeat(100)}` }
    const socket = connectTls({ ...placeOf(node), ...clientTlsOptions(key) })
    sockets.push(socket)
    await once(socket, 'error')
    await until('it stands in the log', () => node.log.length > 0)
    expect(node.log[0]).toMatch(/^refused 127.0.0.1 not-a-node evil\?\?\[31mx{1,64}$/)
  })

  it('without the key is not taken for a node, whatever certificate it shows', async () => {
    // A plain listener, and one that speaks TLS without knowing the key.
    const plain = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1')
    const tls = createTlsServer({ minVersion: 'TLSv1.3', pskCallback: () => Buffer.alloc(32) }).listen(0, '127.0.0.1')
    sockets.push({ destroy: () => plain.close() }, { destroy: () => tls.close() })
    const { links } = await startNode()
    for (const [server, reason] of [
      [plain, 'connect-failed'],
      [tls, 'other-key'],
    ] as const) {
      if (!server.listening) await once(server, 'listening')
      const { port } = server.address() as { port: number }
      const target = { incarnation: `at-${port}` as NodeId, address: `127.0.0.1:${port}` }
      await expect(links.hasStore(target)).rejects.toMatchObject({ reason })
    }
  })

  it('who proved itself and sends a greeting that is too long or none is refused', async () => {
    const node = await startNode()
    for (const bytes of [encodeFrame(new Uint8Array(2_000)), encodeFrame(Buffer.from('\xff\xff\xff\xff', 'latin1'))]) {
      const { socket, text, closed } = await proven(node)
      socket.write(bytes)
      await closed
      expect(text()).toHaveLength(0)
    }
    expect(node.log).toEqual(['refused 127.0.0.1 not-a-node'])
  })

  it('who reflects what a node sends back to it gains nothing', async () => {
    const node = await startNode()
    const mirror = createServer((socket: Socket) => {
      const back = connectTcp(placeOf(node))
      for (const [from, to] of [
        [socket, back],
        [back, socket],
      ] as const) {
        sockets.push(from)
        from.on('error', () => undefined)
        from.pipe(to)
      }
    }).listen(0, '127.0.0.1')
    sockets.push({ destroy: () => mirror.close() })
    await once(mirror, 'listening')
    const { port } = mirror.address() as { port: number }
    const target = { incarnation: 'elsewhere' as NodeId, address: `127.0.0.1:${port}` }
    await expect(node.links.hasStore(target)).rejects.toMatchObject({ reason: 'myself' })
  })
})

describe('nodes of different versions', () => {
  it('do not talk when the major versions differ, and say so', async () => {
    const node = await startNode()
    const newer = await startNode({ protocolVersion: { major: 2, minor: 0 }, name: 'newer', version: '9.0.0' })
    await expect(newer.links.hasStore(node.target)).rejects.toMatchObject({ reason: 'other-version' })
    expect(node.log).toEqual(['refused 127.0.0.1 other-version node newer, link version 2.0 (9.0.0)'])
    expect(newer.log).toEqual(['unreachable other-version'])
  })

  it('talk when the minor versions differ', async () => {
    const node = await startNode({ protocolVersion: { major: 1, minor: 7 } })
    const older = await startNode()
    expect(await older.links.hasStore(node.target)).toBe(true)
  })

  it('answer a question that they do not know as not understood, and go on', async () => {
    const node = await startNode()
    const { greeting, wanted } = self(node)
    const { socket, text } = await proven(node)
    socket.write(encodeGreeting(greeting, wanted))
    await until('it is welcome', () => text().length > 0)
    const welcomeLength = text().length
    // Field 15 is of a later version; 3 is "alive".
    socket.write(encodeFrame(Uint8Array.of(0x08, 5, 0x7a, 0)))
    socket.write(encodeFrame(link.Frame.encode({ question: 6, alive: {} }).finish()))
    const wantedBytes = Buffer.concat([
      encodeFrame(link.Frame.encode({ answer: 5, notUnderstood: {} }).finish()),
      encodeFrame(link.Frame.encode({ answer: 6, done: {} }).finish()),
    ])
    await until('both are answered', () => text().length >= welcomeLength + wantedBytes.length)
    expect(text().subarray(welcomeLength)).toEqual(wantedBytes)
  })

  it('end a link over which nonsense comes', async () => {
    const node = await startNode()
    const { greeting, wanted } = self(node)
    for (const nonsense of [encodeFrame(Buffer.alloc(9, 0xff)), Uint8Array.of(0xff, 0xff, 0xff, 0xff)]) {
      const { socket, text, closed } = await proven(node)
      socket.write(encodeGreeting(greeting, wanted))
      await until('it is welcome', () => text().length > 0)
      socket.write(nonsense)
      await closed
    }
    expect(node.log.filter((line) => line.endsWith('malformed'))).toHaveLength(2)
  })
})
