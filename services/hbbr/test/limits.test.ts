import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { encodeFrame } from '@tryst/protocol'
import { requestRelay, TcpPeer, until, WebSocketPeer } from './peers.ts'
import { type RunningRelay, startRelay, type TestOptions } from './running-relay.ts'

let relay: RunningRelay
const closers: (() => void)[] = []

const start = async (options: TestOptions = {}) => {
  relay = await startRelay(options)
}
const openTcp = async () => {
  const peer = await TcpPeer.open(relay.ports.tcp)
  closers.push(() => peer.close())
  return peer
}
const openWebSocket = async (options: Parameters<typeof WebSocketPeer.open>[1] = {}) => {
  const peer = await WebSocketPeer.open(relay.ports.webSocket, options)
  closers.push(() => peer.close())
  return peer
}
const waits = async (uuid: string) => {
  const peer = await openTcp()
  const before = relay.hbbr.relay.waitingCount
  peer.send(requestRelay({ uuid }))
  await until(`${uuid} waits`, () => relay.hbbr.relay.waitingCount === before + 1)
  return peer
}
const turnedAway = () => relay.hbbr.relay.counters.turnedAway

/** A plain socket to the WebSocket port. */
const openRaw = (): Promise<{ socket: Socket; text(): string; isClosed(): boolean }> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port: relay.ports.webSocket, host: '127.0.0.1' })
    let text = ''
    let isClosed = false
    closers.push(() => socket.destroy())
    socket.on('data', (chunk) => {
      text += String(chunk)
    })
    socket.on('error', reject)
    socket.on('close', () => {
      isClosed = true
    })
    socket.on('connect', () => resolve({ socket, text: () => text, isClosed: () => isClosed }))
  })

afterEach(async () => {
  for (const close of closers.splice(0)) close()
  await relay.hbbr.close()
})

describe('the first message', () => {
  it('is refused by its header when it is longer than allowed, over TCP', async () => {
    await start()
    const peer = await openTcp()
    peer.sendBytes(Buffer.from('0540', 'hex')) // 4097 bytes are announced, none follows
    await until('the connection ends', () => peer.hasEnded)
    expect(turnedAway().first_message_too_large).toBe(1)
  })

  it('is refused by its header when it is longer than allowed, over a WebSocket', async () => {
    await start()
    const peer = await openWebSocket()
    peer.socket.write(Buffer.from('82fe100100000000', 'hex')) // 4097 bytes are announced, none follows
    await until('the connection ends', () => peer.isClosed)
    expect(turnedAway().first_message_too_large).toBe(1)
  })

  it('is refused when its fragments are together longer than allowed', async () => {
    await start()
    const peer = await openWebSocket()
    peer.webSocket.send(Buffer.alloc(4000), { fin: false, binary: true })
    peer.webSocket.send(Buffer.alloc(97), { fin: true, binary: true })
    await until('the connection ends', () => peer.isClosed)
    expect(turnedAway().first_message_too_large).toBe(1)
  })

  it('may be as long as allowed', async () => {
    await start()
    const uuid = 'x'.repeat(4096 - 7)
    expect(requestRelay({ uuid }).length).toBe(4096)
    const [tcp, webSocket] = [await openTcp(), await openWebSocket()]
    tcp.send(requestRelay({ uuid }))
    webSocket.send(requestRelay({ uuid }))
    await until('the two are paired', () => relay.hbbr.relay.pairCount === 1)
  })

  it('has to come within its time, however slowly it trickles', async () => {
    await start({ settings: { firstMessageMs: 200 } })
    const [silent, trickling, webSocket] = [await openTcp(), await openTcp(), await openWebSocket()]
    const frame = encodeFrame(requestRelay({ uuid: 'x'.repeat(200) }))
    let at = 0
    const trickle = setInterval(() => trickling.sendBytes(frame.subarray(at, ++at)), 20)
    await until('all three have ended', () => silent.hasEnded && trickling.hasEnded && webSocket.isClosed)
    clearInterval(trickle)
    expect(turnedAway().first_message_timeout).toBe(3)
  })

  it.each([
    ['a wrong key', requestRelay({ uuid: 'x', licenceKey: 'wrong' }), 'key_mismatch'],
    ['a longer key', requestRelay({ uuid: 'x', licenceKey: 'secret1' }), 'key_mismatch'],
    ['no key', requestRelay({ uuid: 'x' }), 'key_mismatch'],
    ['no uuid', requestRelay({ uuid: '', licenceKey: 'secret' }), 'uuid_missing'],
    ['nothing in it', new Uint8Array(0), 'not_a_request'],
    ['garbage', Buffer.from('ffffff', 'hex'), 'malformed'],
    ['RegisterPeer', Buffer.from('320b0a09313233343536373839', 'hex'), 'not_a_request'],
  ] as const)('with %s ends the connection without a word', async (_what, message, reason) => {
    await start({ settings: { expectedKey: 'secret' } })
    const [tcp, webSocket] = [await openTcp(), await openWebSocket()]
    tcp.send(message)
    webSocket.send(message)
    await until('both have ended', () => tcp.hasEnded && webSocket.isClosed)
    expect(tcp.received.length).toBe(0)
    expect(webSocket.closeCode).toBe(1006)
    expect(turnedAway()[reason]).toBe(2)
  })

  it('with a wrong key is told to those who ban addresses', async () => {
    await start({ settings: { expectedKey: 'secret' } })
    const peer = await openWebSocket({ headers: { 'X-Real-IP': '203.0.113.7' } })
    peer.send(requestRelay({ uuid: 'x', licenceKey: 'wrong' }))
    await until('it has ended', () => peer.isClosed)
    expect(relay.logLines).toContain('Relay authentication failed from 203.0.113.7:0 - invalid key')
  })

  it.each(['text', 'ping'] as const)('can not be a %s', async (kind) => {
    await start()
    const peer = await openWebSocket()
    if (kind === 'text') peer.webSocket.send('hello')
    else peer.webSocket.ping()
    await until('it has ended', () => peer.isClosed)
    expect(peer.pongs.length).toBe(0)
  })
})

describe('a half that waits', () => {
  it('frees its uuid at once when it goes away', async () => {
    await start()
    const gone = await waits('x')
    gone.close()
    await until('nobody waits', () => relay.hbbr.relay.waitingCount === 0)
    const [b, a] = [await waits('x'), await openTcp()]
    a.send(requestRelay({ uuid: 'x' }))
    a.sendBytes(Buffer.from('a'))
    await until('they have met', () => b.received.length === 1)
  })

  it('is turned away when nobody comes, and takes nobody with it who came later', async () => {
    await start({ settings: { pairMs: 1_200 } })
    const first = await waits('x')
    await new Promise((resolve) => setTimeout(resolve, 600))
    const second = await openTcp()
    second.send(requestRelay({ uuid: 'x' }))
    await until('they are paired', () => relay.hbbr.relay.pairCount === 1)
    const third = await waits('x')
    await new Promise((resolve) => setTimeout(resolve, 800))
    expect([first.hasEnded, second.hasEnded, third.hasEnded]).toEqual([false, false, false])
    await until('the third has waited long enough', () => third.hasEnded)
    expect([first.hasEnded, second.hasEnded]).toEqual([false, false])
    expect(turnedAway().pair_timeout).toBe(1)
  })

  it('keeps no more than a little of what it says before its partner comes', async () => {
    await start()
    const b = await waits('x')
    const said = Buffer.alloc(32 * 1024 * 1024, 7)
    b.sendBytes(said)
    await until('the relay reads no further', () => b.socket.writableLength > 0)
    await new Promise((resolve) => setTimeout(resolve, 100))
    const unsent = b.socket.writableLength
    expect(unsent).toBe(said.length)
    const a = await openTcp()
    a.send(requestRelay({ uuid: 'x' }))
    let arrived = 0
    a.socket.removeAllListeners('data')
    a.socket.on('data', (chunk) => {
      arrived += chunk.length
    })
    await until('all of it has arrived', () => arrived === said.length)
  })

  it('is refused when its address has too many, and only then', async () => {
    await start({ settings: { waiting: { perSource: 2, total: 3 } } })
    const [one] = [await waits('1'), await waits('2')]
    const three = await openTcp()
    three.send(requestRelay({ uuid: '3' }))
    await until('the third is refused', () => three.hasEnded)
    expect(turnedAway().waiting_source_full).toBe(1)
    const partner = await openTcp()
    partner.send(requestRelay({ uuid: '1' }))
    await until('a partner is welcome', () => relay.hbbr.relay.pairCount === 1)
    await waits('4')
    expect(one.hasEnded).toBe(false)
    const other = await openWebSocket({ headers: { 'X-Real-IP': '203.0.113.7' } })
    other.send(requestRelay({ uuid: '5' }))
    await until('another address has a share of its own', () => relay.hbbr.relay.waitingCount === 3)
    expect(relay.logLines.filter((line) => line === 'limit hit').length).toBe(1)
  })
})

describe('connections of one address', () => {
  it('push out the oldest that has sent nothing valid, never one that has', async () => {
    await start({ connectionsPerSource: 3 })
    const waiting = await waits('x')
    const [silent, newer] = [await openTcp(), await openTcp()]
    await until('three are connected', () => relay.hbbr.guard.connections === 3)
    const newest = await openTcp()
    await until('the oldest silent one is gone', () => silent.hasEnded)
    expect([waiting.hasEnded, newer.hasEnded, newest.hasEnded]).toEqual([false, false, false])
    expect(relay.hbbr.eventLog.limitHits.connections_per_source).toBe(1)
  })

  it('are refused when all others have proved to be clients', async () => {
    await start({ connectionsPerSource: 2 })
    const [one, two] = [await waits('1'), await waits('2')]
    const three = await openTcp()
    await until('the newcomer is refused', () => three.hasEnded || three.isClosed)
    expect([one.hasEnded, two.hasEnded]).toEqual([false, false])
  })

  it('count by the address that a trusted proxy tells', async () => {
    await start({ connectionsPerSource: 1 })
    const peers = [
      await openWebSocket({ headers: { 'X-Real-IP': '203.0.113.7' } }),
      await openWebSocket({ headers: { 'X-Real-IP': '203.0.113.8' } }),
      await openWebSocket({ headers: { 'X-Forwarded-For': 'garbage, 2001:db8::1, 127.0.0.1' } }),
    ]
    const sameNetwork = await openWebSocket({ headers: { 'X-Real-IP': '[2001:db8::2]:4711' } })
    await until('the one of the same /64 makes room', () => peers[2]?.isClosed === true)
    expect([peers[0]?.isClosed, peers[1]?.isClosed, sameNetwork.isClosed]).toEqual([false, false, false])
  })

  it('give their memory back', async () => {
    await start({ connectionsPerSource: 50 })
    for (let i = 0; i < 100; i++) await openTcp()
    for (const close of closers.splice(0)) close()
    await until('all are forgotten', () => relay.hbbr.guard.connections === 0)
    expect(relay.hbbr.guard.sources).toBe(0)
  })
})

describe('the WebSocket port', () => {
  it('lets clients in on any path, with no subprotocol', async () => {
    await start()
    const asking = await openWebSocket({ path: '/ws/relay?x=1', headers: { 'Sec-WebSocket-Protocol': 'chat' } })
    const plain = await openWebSocket({ path: '/anything' })
    expect([asking.webSocket.protocol, plain.webSocket.protocol]).toEqual(['', ''])
  })

  it.each([
    ['a plain request', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['another protocol', 'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'],
    ['a WebSocket without a key', 'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
    ['a tunnel', 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['no HTTP', '\x00\x01\x02 garbage\r\n\r\n'],
    ['an endless head', `GET / HTTP/1.1\r\nX: ${'x'.repeat(70_000)}`],
  ])('closes %s without an answer', async (_what, request) => {
    await start()
    const raw = await openRaw()
    raw.socket.removeAllListeners('error')
    raw.socket.on('error', () => undefined)
    raw.socket.write(request)
    await until('it is closed', raw.isClosed)
    expect(raw.text()).toBe('')
  })

  it('waits for the upgrade no longer than allowed, however slowly it trickles', async () => {
    await start({ settings: { firstMessageMs: 200 } })
    const raw = await openRaw()
    raw.socket.removeAllListeners('error')
    raw.socket.on('error', () => undefined)
    const trickle = setInterval(() => raw.socket.write('G'), 20)
    await until('it is closed', raw.isClosed)
    clearInterval(trickle)
    expect(raw.text()).toBe('')
  })

  it('believes nobody but trusted proxies', async () => {
    await start({ trustedProxies: ['10.0.0.0/8'] })
    const peer = await openWebSocket({ headers: { 'X-Real-IP': '203.0.113.7' } })
    peer.send(requestRelay({ uuid: 'x' }))
    await until('it waits', () => relay.hbbr.relay.waitingCount === 1)
    expect(relay.logLines.some((line) => /^New relay request x from 127\.0\.0\.1:\d+$/.test(line))).toBe(true)
  })
})

describe('the block and black lists', () => {
  it('refuse a blocked address at once, on both ports, and behind a proxy', async () => {
    await start()
    relay.lists.blocklist.add('203.0.113.0/24')
    const proxied = await openWebSocket({ headers: { 'X-Real-IP': '203.0.113.7' } })
    await until('the proxied one is refused', () => proxied.isClosed)
    relay.lists.blocklist.add('::ffff:127.0.0.1')
    const peer = await openTcp()
    await until('the TCP one is refused', () => peer.hasEnded || peer.isClosed)
    await expect(openWebSocket()).rejects.toThrow()
    expect(turnedAway().blocked_address).toBe(3)
    expect(relay.logLines.filter((line) => line === 'IP blocked').length).toBe(3)
  })

  it('end a running pair when either side is blocked', async () => {
    await start()
    const b = await openWebSocket({ headers: { 'X-Real-IP': '203.0.113.7' } })
    b.send(requestRelay({ uuid: 'x' }))
    await until('it waits', () => relay.hbbr.relay.waitingCount === 1)
    const a = await openTcp()
    a.send(requestRelay({ uuid: 'x' }))
    await until('they are paired', () => relay.hbbr.relay.pairCount === 1)
    relay.lists.blocklist.add('203.0.113.7')
    await until('both have ended', () => a.hasEnded && b.isClosed)
    expect(relay.hbbr.relay.counters.pairsEnded.blocked_address).toBe(1)
  })
})
