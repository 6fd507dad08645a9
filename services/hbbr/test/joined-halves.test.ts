import { createHash, randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from '@jest/globals'
import { encodeFrame } from '@tryst/protocol'
import { DEFAULT_RELAY_SETTINGS } from '@tryst/relay'
import { type JoinedRelays, type LinkKind, startJoinedRelays } from './joined-relays.ts'
import {
  openPeer,
  requestRelay,
  TcpPeer,
  type TestPeer,
  type TransportName,
  until,
  type WebSocketPeer,
} from './peers.ts'

const DEVICE = '123456789'
const LINKS: LinkKind[] = ['tcp', 'tls', 'node links']
const MIXES: [TransportName, TransportName][] = [
  ['tcp', 'tcp'],
  ['tcp', 'websocket'],
  ['websocket', 'tcp'],
  ['websocket', 'websocket'],
]

let fleet: JoinedRelays
const peers: TestPeer[] = []

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.close()
  await fleet.close()
})

const relayAt = (index: number) => {
  const relay = fleet.relays[index]
  if (!relay) throw new Error(`there is no relay ${index}`)
  return relay
}
const open = async (transport: TransportName, at: number) => {
  const peer = await openPeer(transport, relayAt(at).ports)
  peers.push(peer)
  return peer
}
const introduce = (uuid: string) => fleet.sessions.book.issue(uuid, DEVICE)

/** The first half at the first relay, the second at the second. */
async function join(first: TransportName, second: TransportName, order: 'device first' | 'controller first') {
  introduce('x')
  const [device, controller] = [requestRelay({ uuid: 'x' }), requestRelay({ uuid: 'x', id: DEVICE })]
  const b = await open(first, 0)
  b.send(order === 'device first' ? device : controller)
  await until('the first half waits', () => relayAt(0).hbbr.relay.waitingCount === 1)
  const a = await open(second, 1)
  a.send(order === 'device first' ? controller : device)
  await until('the two are joined', () => relayAt(1).hbbr.relay.pairCount === 1)
  return [b, a] as const
}

const sha256 = (parts: readonly Uint8Array[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

describe.each(LINKS)('halves at two relays joined by a stream over %s', (link) => {
  const order = link === 'tcp' ? 'device first' : 'controller first'

  describe.each(MIXES)('between %s and %s', (first, second) => {
    it('exchange messages in order, in both directions at once', async () => {
      fleet = await startJoinedRelays({ link })
      const [b, a] = await join(first, second, order)
      const lengths = [1, 63, 64, 4095, 4096, 4097, 16_383, 16_384, 70_000, 1_000_000, 3]
      const forth = lengths.map((length) => randomBytes(length))
      const back = lengths.map((length) => randomBytes(length))
      for (const message of forth) b.send(message)
      for (const message of back) a.send(message)
      await until('all messages arrived', () => a.messages.length === 11 && b.messages.length === 11)
      expect(sha256(a.messages)).toBe(sha256(forth))
      expect(sha256(b.messages)).toBe(sha256(back))
    })

    it('get what the other said before they met', async () => {
      fleet = await startJoinedRelays({ link })
      const b = await open(first, 0)
      b.send(requestRelay({ uuid: 'early' }))
      b.send(Buffer.from('signed id'))
      const a = await open(second, 1)
      a.send(requestRelay({ uuid: 'early' }))
      a.send(Buffer.from('public key'))
      introduce('early')
      await until('both have spoken', () => a.messages.length === 1 && b.messages.length === 1)
      expect([String(a.messages[0]), String(b.messages[0])]).toEqual(['signed id', 'public key'])
    })

    it.each(['waits', 'dialled'] as const)(
      'end when the one that %s ends, with all that it said before',
      async (which) => {
        fleet = await startJoinedRelays({ link })
        const [b, a] = await join(first, second, order)
        const [leaving, staying] = which === 'waits' ? [b, a] : [a, b]
        leaving.send(randomBytes(300_000))
        leaving.send(Buffer.from('bye'))
        if (leaving instanceof TcpPeer) leaving.socket.end()
        else (leaving as WebSocketPeer).webSocket.close()
        await until('the other side is told', () => staying.hasEnded)
        expect(staying.messages.map((message) => message.length)).toEqual([300_000, 3])
        await until('nothing is left', () =>
          fleet.relays.every(({ hbbr }) => hbbr.relay.pairCount + hbbr.relay.joinedCount === 0),
        )
        await until('both connections are gone', () => leaving.isClosed)
      },
    )

    it('make the writer wait when the reader stops, and lose nothing', async () => {
      fleet = await startJoinedRelays({ link })
      const [b, a] = await join(first, second, order)
      for (const [from, to] of [
        [b, a],
        [a, b],
      ] as const) {
        pause(to)
        const chunk = randomBytes(64 * 1024)
        const sent = await sendUntilStuck(from, chunk, 1_600)
        expect(sent).toBeLessThan(1_600)
        const arrived = count(to)
        resume(to)
        await until('all of it', () => arrived() === sent * chunk.length, 30_000)
      }
    }, 60_000)
  })

  it('pass bytes that are no frames between two TCP connections', async () => {
    fleet = await startJoinedRelays({ link })
    const [b, a] = (await join('tcp', 'tcp', order)) as [TcpPeer, TcpPeer]
    const noise = Buffer.concat([Buffer.alloc(64, 0xff), randomBytes(2_000_000)])
    b.sendBytes(noise)
    await until('all of it', () => a.received.length === noise.length)
    expect(a.received.equals(noise)).toBe(true)
  })

  it('count and log once: at the relay that dialled', async () => {
    fleet = await startJoinedRelays({ link })
    const [b] = await join('tcp', 'tcp', order)
    b.send(Buffer.alloc(5_000))
    await until('it is counted', () => relayAt(1).hbbr.relay.counters.bytesRelayed > 5_000)
    expect(relayAt(0).hbbr.relay.counters.bytesRelayed).toBe(0)
    expect(relayAt(0).hbbr.relay.counters.bytesJoined).toBe(5_002)
    await until('it is a load', () => relayAt(0).hbbr.loadBitsPerSecond > 0)
    expect([relayAt(0), relayAt(1)].map(({ hbbr }) => hbbr.relay.pairCount)).toEqual([0, 1])
    expect(relayAt(0).logLines.some((line) => line.endsWith('got joined with another relay'))).toBe(true)
    expect(relayAt(1).logLines.some((line) => line.endsWith('got paired'))).toBe(true)
  })
})

const socketOf = (peer: TestPeer) => (peer instanceof TcpPeer ? peer.socket : (peer as WebSocketPeer).socket)

/** Keeps something to send until nothing has left for 200 ms, or all was sent. */
async function sendUntilStuck(peer: TestPeer, chunk: Buffer, most: number): Promise<number> {
  const socket = socketOf(peer)
  let sent = 0
  let left = -1
  for (let quiet = 0; quiet < 20; quiet++) {
    while (socket.writableLength < 1024 * 1024 && sent < most) {
      peer.send(chunk)
      sent++
      quiet = 0
    }
    if (socket.writableLength !== left) quiet = 0
    left = socket.writableLength
    if (left === 0) return sent
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return sent
}

function pause(peer: TestPeer): void {
  if (peer instanceof TcpPeer) peer.socket.pause()
  else (peer as WebSocketPeer).webSocket.pause()
}

function resume(peer: TestPeer): void {
  if (peer instanceof TcpPeer) peer.socket.resume()
  else (peer as WebSocketPeer).webSocket.resume()
}

/** Bytes of messages that arrive from now on; the peer keeps none of them. */
function count(peer: TestPeer): () => number {
  let bytes = 0
  if (peer instanceof TcpPeer) {
    peer.socket.removeAllListeners('data')
    peer.socket.pause()
    // Each message of 64 KiB has a header of three bytes.
    let raw = 0
    peer.socket.on('data', (chunk: Buffer) => {
      raw += chunk.length
      bytes = raw - Math.ceil(raw / (64 * 1024 + 3)) * 3
    })
  } else {
    const { webSocket } = peer as WebSocketPeer
    webSocket.removeAllListeners('message')
    webSocket.on('message', (data: Buffer) => {
      bytes += data.length
    })
  }
  return () => bytes
}

const ROOMY = {
  settings: { brokered: { ...DEFAULT_RELAY_SETTINGS.brokered, limits: { perSource: 1_000, total: 1_000 } } },
}

describe('two halves that come at the same instant to different relays', () => {
  it('always meet, 1,000 times, whichever way the answers take', async () => {
    fleet = await startJoinedRelays({ count: 2, link: 'node links', longestDelayMs: 10, seed: 7, options: ROOMY })
    let met = 0
    for (let round = 0; round < 10; round++) {
      fleet.sessions.asked.length = 0
      const both = await Promise.all(
        Array.from({ length: 100 }, async (_, i) => {
          const transports = MIXES[i % 4] as [TransportName, TransportName]
          return [`${round}.${i}`, await open(transports[0], 0), await open(transports[1], 1)] as const
        }),
      )
      for (const [uuid, b, a] of both) {
        // Some tickets come later than the halves.
        if (!uuid.endsWith('3')) introduce(uuid)
        b.send(requestRelay({ uuid }))
        a.send(requestRelay({ uuid, id: DEVICE }))
        b.send(Buffer.from(`b ${uuid}`))
        a.send(Buffer.from(`a ${uuid}`))
      }
      await until('some have asked in vain', () => fleet.sessions.asked.some((asked) => asked.endsWith('no-ticket')))
      for (const [uuid] of both) introduce(uuid)
      await until(`all of round ${round}`, () => both.every(([, b, a]) => a.messages.length + b.messages.length === 2))
      for (const [uuid, b, a] of both) {
        expect([String(a.messages[0]), String(b.messages[0])]).toEqual([`b ${uuid}`, `a ${uuid}`])
        met++
        a.close()
        b.close()
      }
      await until('nothing is left', () =>
        fleet.relays.every(({ hbbr }) => hbbr.relay.pairCount + hbbr.relay.joinedCount === 0),
      )
    }
    expect(met).toBe(1_000)
    const { relay: one } = relayAt(0).hbbr
    const { relay: two } = relayAt(1).hbbr
    expect(one.counters.dialled + two.counters.dialled).toBe(1_000)
    expect(Math.min(one.counters.dialled, two.counters.dialled)).toBeGreaterThan(100)
  }, 60_000)
})

describe('the rules of tickets', () => {
  const refused = (at: number, reason: 'no_ticket' | 'wrong_device' | 'ticket_used') =>
    relayAt(at).hbbr.relay.counters.turnedAway[reason]

  it('keep out a made-up session, which takes its time', async () => {
    fleet = await startJoinedRelays({
      options: { settings: { brokered: { ...DEFAULT_RELAY_SETTINGS.brokered, ticketMs: 300 } } },
    })
    const stranger = await open('tcp', 0)
    stranger.send(requestRelay({ uuid: 'made up' }))
    await until('it is turned away', () => stranger.hasEnded)
    expect(refused(0, 'no_ticket')).toBe(1)
    expect(relayAt(0).logLines.some((line) => line.endsWith('no ID server introduced this session'))).toBe(true)
  })

  it('keep out one who names another device, and let in who comes then', async () => {
    fleet = await startJoinedRelays()
    introduce('x')
    const wrong = await open('tcp', 1)
    wrong.send(requestRelay({ uuid: 'x', id: '987654321' }))
    await until('it is turned away', () => wrong.hasEnded)
    expect(refused(1, 'wrong_device')).toBe(1)
    await join('tcp', 'tcp', 'device first')
  })

  it('keep out a third half, and everybody after the end', async () => {
    fleet = await startJoinedRelays()
    const [b, a] = await join('tcp', 'tcp', 'device first')
    for (const at of [0, 1]) {
      const third = await open('tcp', at)
      third.send(requestRelay({ uuid: 'x', id: DEVICE }))
      await until('it is turned away', () => third.hasEnded)
      expect(refused(at, 'ticket_used')).toBe(1)
    }
    a.close()
    await until('the session is over', () => b.hasEnded)
    const replay = await open('websocket', 0)
    replay.send(requestRelay({ uuid: 'x' }))
    await until('it is turned away', () => replay.isClosed)
    expect(refused(0, 'ticket_used')).toBe(2)
  })

  it('let in a half that came before its ticket', async () => {
    fleet = await startJoinedRelays()
    const b = await open('tcp', 0)
    b.send(requestRelay({ uuid: 'x' }))
    await until('it has asked three times', () => fleet.sessions.asked.length >= 3)
    const a = await open('websocket', 1)
    a.send(requestRelay({ uuid: 'x', id: DEVICE }))
    introduce('x')
    b.send(Buffer.from('here'))
    await until('a word', () => String(a.messages[0]) === 'here')
  })

  it('let in a half that left while it waited and comes again, elsewhere', async () => {
    fleet = await startJoinedRelays()
    introduce('x')
    const fickle = await open('tcp', 1)
    fickle.send(requestRelay({ uuid: 'x' }))
    await until('it waits', () => relayAt(1).hbbr.relay.waitingCount === 1)
    fickle.close()
    await until('it is gone', () => relayAt(1).hbbr.relay.waitingCount === 0)
    const [b, a] = await join('tcp', 'tcp', 'device first')
    b.send(Buffer.from('here'))
    await until('a word', () => String(a.messages[0]) === 'here')
  })

  it('are kept without a frame of their own: bytes behind the request arrive as they are', async () => {
    fleet = await startJoinedRelays()
    introduce('x')
    const b = await TcpPeer.open(relayAt(0).ports.tcp)
    peers.push(b)
    b.sendBytes(Buffer.concat([encodeFrame(requestRelay({ uuid: 'x' })), Buffer.from('raw')]))
    const a = await TcpPeer.open(relayAt(1).ports.tcp)
    peers.push(a)
    a.sendBytes(Buffer.concat([encodeFrame(requestRelay({ uuid: 'x', id: DEVICE })), Buffer.from('too')]))
    await until('both', () => String(a.received) === 'raw' && String(b.received) === 'too')
  })
})
