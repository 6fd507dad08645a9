import { createHash, randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { encodeFrame } from '@tryst/protocol'
import type { SocketReading } from '@tryst/transport'
import {
  openPeer,
  requestRelay,
  TcpPeer,
  type TestPeer,
  type TransportName,
  until,
  type WebSocketPeer,
} from './peers.ts'
import { type RunningRelay, startRelay } from './running-relay.ts'

const READINGS: SocketReading[] = ['pooled', 'portable']
const MIXES: [TransportName, TransportName][] = [
  ['tcp', 'tcp'],
  ['tcp', 'websocket'],
  ['websocket', 'tcp'],
  ['websocket', 'websocket'],
]

const sha256 = (parts: readonly Uint8Array[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

describe.each(READINGS)('a relay that reads by the %s way', (reading) => {
  let relay: RunningRelay
  const peers: TestPeer[] = []
  const open = async (transport: TransportName) => {
    const peer = await openPeer(transport, relay.ports)
    peers.push(peer)
    return peer
  }
  const openTcp = async () => {
    const peer = await TcpPeer.open(relay.ports.tcp)
    peers.push(peer)
    return peer
  }
  const pair = async (first: TransportName, second: TransportName, uuid = 'pair') => {
    const b = await open(first)
    b.send(requestRelay({ uuid }))
    await until('the first half waits', () => relay.hbbr.relay.waitingCount === 1)
    const a = await open(second)
    a.send(requestRelay({ uuid, id: '123456789' }))
    await until('the two are paired', () => relay.hbbr.relay.pairCount === 1)
    return [b, a] as const
  }

  beforeEach(async () => {
    relay = await startRelay({ reading })
  })
  afterEach(async () => {
    for (const peer of peers.splice(0)) peer.close()
    await relay.hbbr.close()
  })

  describe.each(MIXES)('between %s and %s', (first, second) => {
    it('passes messages on in order, in both directions at once', async () => {
      const [b, a] = await pair(first, second)
      const lengths = [1, 63, 64, 4095, 4096, 4097, 16_383, 16_384, 70_000, 1_000_000, 3]
      const forth = lengths.map((length) => randomBytes(length))
      const back = lengths.map((length) => randomBytes(length))
      for (const message of forth) b.send(message)
      for (const message of back) a.send(message)
      await until('all messages arrived', () => a.messages.length === 11 && b.messages.length === 11)
      expect(a.messages.map((message) => message.length)).toEqual(lengths)
      expect(sha256(a.messages)).toBe(sha256(forth))
      expect(sha256(b.messages)).toBe(sha256(back))
    })

    it('keeps what the first half says before its partner comes', async () => {
      const b = await open(first)
      b.send(requestRelay({ uuid: 'early' }))
      b.send(Buffer.from('signed id'))
      await until('the first half waits', () => relay.hbbr.relay.waitingCount === 1)
      const a = await open(second)
      a.send(requestRelay({ uuid: 'early' }))
      a.send(Buffer.from('public key'))
      await until('both have spoken', () => a.messages.length === 1 && b.messages.length === 1)
      expect(String(a.messages[0])).toBe('signed id')
      expect(String(b.messages[0])).toBe('public key')
    })

    it('ends both sides when one goes away, with all that it said before', async () => {
      const [b, a] = await pair(first, second)
      const last = randomBytes(300_000)
      b.send(last)
      b.send(Buffer.from('bye'))
      if (b instanceof TcpPeer) b.socket.end()
      else (b as WebSocketPeer).webSocket.close()
      await until('the other side is told', () => a.hasEnded)
      expect(a.messages.map((message) => message.length)).toEqual([300_000, 3])
      await until('the pair is gone', () => relay.hbbr.relay.pairCount === 0)
      await until('both connections are gone', () => b.isClosed)
    })

    it('ends the other side when one is reset', async () => {
      const [b, a] = await pair(first, second)
      const socket = b instanceof TcpPeer ? b.socket : (b as WebSocketPeer).socket
      socket.resetAndDestroy()
      await until('the other side is told', () => a.hasEnded)
      expect(relay.hbbr.relay.pairCount).toBe(0)
    })

    it('pairs sides that come at the same instant, every one', async () => {
      const count = 100
      const both = await Promise.all(
        Array.from({ length: count }, async (_, i) =>
          Promise.all([open(first), open(second)]).then((two) => [i, two] as const),
        ),
      )
      for (const [i, [b, a]] of both) {
        b.send(requestRelay({ uuid: `race ${i}` }))
        a.send(requestRelay({ uuid: `race ${i}` }))
        b.send(Buffer.from(`b ${i}`))
        a.send(Buffer.from(`a ${i}`))
      }
      await until('all have met', () => both.every(([, [b, a]]) => b.messages.length === 1 && a.messages.length === 1))
      for (const [i, [b, a]] of both)
        expect([String(b.messages[0]), String(a.messages[0])]).toEqual([`a ${i}`, `b ${i}`])
      expect(relay.hbbr.relay.pairCount).toBe(count)
      expect(relay.hbbr.relay.waitingCount).toBe(0)
    })
  })

  describe('between two TCP connections', () => {
    it('passes bytes that are no frames on as they are', async () => {
      const [b, a] = (await pair('tcp', 'tcp')) as unknown as [TcpPeer, TcpPeer]
      a.sendBytes(Buffer.from('SSH-2.0-x\r\n'))
      b.sendBytes(Buffer.from('00ff00ff', 'hex'))
      await until('both arrived', () => b.received.length === 11 && a.received.length === 4)
      expect(String(b.received)).toBe('SSH-2.0-x\r\n')
      expect(a.received.toString('hex')).toBe('00ff00ff')
    })

    it('keeps half a frame that came behind the request in one segment', async () => {
      const b = await openTcp()
      b.sendBytes(Buffer.concat([encodeFrame(requestRelay({ uuid: 'half' })), Buffer.from('fc01', 'hex')]))
      await until('the first half waits', () => relay.hbbr.relay.waitingCount === 1)
      const a = await openTcp()
      a.sendBytes(Buffer.concat([encodeFrame(requestRelay({ uuid: 'half' })), Buffer.from('beef', 'hex')]))
      await until('both arrived', () => b.received.length === 2 && a.received.length === 2)
      b.sendBytes(Buffer.from('02', 'hex'))
      await until('the rest arrived', () => a.received.length === 3)
      expect(a.received.toString('hex')).toBe('fc0102')
      expect(b.received.toString('hex')).toBe('beef')
    })

    it('pairs clients whose request comes byte by byte', async () => {
      const b = await openTcp()
      for (const byte of encodeFrame(requestRelay({ uuid: 'slow' }))) {
        b.sendBytes(Uint8Array.of(byte))
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      await until('the first half waits', () => relay.hbbr.relay.waitingCount === 1)
    })

    it('carries 64 MB each way at once without a changed byte', async () => {
      const [b, a] = (await pair('tcp', 'tcp')) as unknown as [TcpPeer, TcpPeer]
      const total = 64 * 1024 * 1024
      const transfer = (from: TcpPeer, to: TcpPeer) =>
        new Promise<void>((resolve) => {
          const sent = createHash('sha256')
          const arrived = createHash('sha256')
          let arrivedBytes = 0
          to.socket.removeAllListeners('data')
          to.socket.on('data', (chunk: Buffer) => {
            arrived.update(chunk)
            arrivedBytes += chunk.length
            if (arrivedBytes < total) return
            expect(arrived.digest('hex')).toBe(sent.digest('hex'))
            resolve()
          })
          let sentBytes = 0
          const send = () => {
            while (sentBytes < total) {
              const chunk = randomBytes(Math.min(total - sentBytes, 1 + ((sentBytes * 7919) % 200_000)))
              sent.update(chunk)
              sentBytes += chunk.length
              if (!from.socket.write(chunk)) {
                from.socket.once('drain', send)
                return
              }
            }
          }
          send()
        })
      await Promise.all([transfer(a, b), transfer(b, a)])
    }, 60_000)

    it('passes on what the other side had still to say when one has ended, then ends the pair', async () => {
      const [b, a] = (await pair('tcp', 'tcp')) as unknown as [TcpPeer, TcpPeer]
      a.socket.end()
      b.sendBytes(Buffer.from('last words'))
      await until('the last words arrived', () => a.received.length === 10)
      await until('both are told', () => a.hasEnded && b.hasEnded)
      expect(relay.hbbr.relay.pairCount).toBe(0)
    })
  })

  describe('between a TCP connection and a WebSocket', () => {
    it('leaves out empty frames and messages, and texts, pings and pongs', async () => {
      const [b, a] = (await pair('tcp', 'websocket')) as unknown as [TcpPeer, WebSocketPeer]
      b.sendBytes(Buffer.from('010002000017000000', 'hex'))
      a.send(new Uint8Array(0))
      a.webSocket.send('hello')
      a.webSocket.ping(Buffer.of(0xaa))
      a.webSocket.send(Buffer.of(1, 2), { fin: false, binary: true })
      a.webSocket.send(Buffer.of(3), { fin: true, binary: true })
      b.sendBytes(Buffer.from('0102030405', 'hex'))
      await until(
        'the messages arrived',
        () => b.messages.length === 1 && a.messages.length === 1 && a.pongs.length === 1,
      )
      expect(b.messages[0]?.toString('hex')).toBe('010203')
      expect(a.messages[0]?.toString('hex')).toBe('0102030405')
      expect(a.pongs[0]?.toString('hex')).toBe('aa')
    })

    it('answers a close message of the WebSocket and ends the TCP side', async () => {
      const [b, a] = (await pair('tcp', 'websocket')) as unknown as [TcpPeer, WebSocketPeer]
      a.webSocket.close(1000)
      await until('both are closed', () => a.isClosed && b.hasEnded)
      expect(a.closeCode).toBe(1000)
    })

    it('ends the WebSocket without a close message when the TCP side ends', async () => {
      const [b, a] = (await pair('tcp', 'websocket')) as unknown as [TcpPeer, WebSocketPeer]
      b.sendBytes(Buffer.from('1401', 'hex'))
      b.socket.end()
      await until('the WebSocket has ended', () => a.isClosed)
      expect(a.closeCode).toBe(1006)
    })

    it('ends the pair at the header of a frame that is too long', async () => {
      const [b, a] = (await pair('tcp', 'websocket')) as unknown as [TcpPeer, WebSocketPeer]
      b.sendBytes(Buffer.from('ffffffff', 'hex'))
      await until('both have ended', () => a.hasEnded && b.hasEnded)
      expect(relay.hbbr.relay.counters.pairsEnded.malformed_frame).toBe(1)
    })
  })

  it('lets a third connection with the uuid of a running pair wait for a fourth', async () => {
    const [b, a] = (await pair('tcp', 'tcp', 'same')) as unknown as [TcpPeer, TcpPeer]
    const c = await openTcp()
    c.send(requestRelay({ uuid: 'same' }))
    c.sendBytes(Buffer.from('cc', 'hex'))
    await until('the third waits', () => relay.hbbr.relay.waitingCount === 1)
    const d = await openTcp()
    d.send(requestRelay({ uuid: 'same' }))
    d.sendBytes(Buffer.from('dd', 'hex'))
    a.sendBytes(Buffer.from('aa', 'hex'))
    b.sendBytes(Buffer.from('bb', 'hex'))
    await until('all have heard their partner', () => [a, b, c, d].every(({ received }) => received.length === 1))
    expect([a, b, c, d].map(({ received }) => received.toString('hex'))).toEqual(['bb', 'aa', 'dd', 'cc'])
  })
})
