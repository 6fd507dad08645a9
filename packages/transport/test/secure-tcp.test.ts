import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { encodeFrame, encodeRendezvous, FrameDecoder, type Signer } from '@tryst/protocol'
import { answerKeyExchange, createBoxKeyPair, createSessionKey, RecordLayer } from '@tryst/protocol/secure-tcp'
import { signCombined, signingKeyPairOf } from '@tryst/protocol/session'
import { Counters } from '@tryst/rendezvous'
import { type FramedTcpConnection, FramedTcpListener } from '../src/framed-tcp.ts'
import { KeyOffers } from '../src/key-offers.ts'

jest.setTimeout(60_000)

const MAX_FRAME_BYTES = 1_000
const pair = signingKeyPairOf(new Uint8Array(32).fill(3))
const signer: Signer = {
  publicKey: pair.publicKey,
  sign: (message) => signCombined(message, pair.secretKey).subarray(0, 64),
}
const HELLO = Buffer.from('hello')

/** Points whose shared secret is the same with every key: an attacker needs none of his own. */
const SMALL_ORDER = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]

let listener: FramedTcpListener
let counts: Counters['keyExchanges']
let received: string[]
let open: Set<FramedTcpConnection>
const sockets: Socket[] = []

/** Sends every message back, and notes it. */
async function listen(firstMessageTimeoutMs = 10_000, more: object = {}): Promise<void> {
  counts = new Counters().keyExchanges
  received = []
  open = new Set()
  listener = await FramedTcpListener.open({
    ...{ port: 0, bind: '127.0.0.1', maxFrameBytes: MAX_FRAME_BYTES, firstMessageTimeoutMs, idleTimeoutMs: 10_000 },
    keyOffers: new KeyOffers(signer, counts),
    ...more,
    handler: {
      onOpen: (connection) => open.add(connection).size > 0,
      onMessage: (connection, payload) => {
        received.push(Buffer.from(payload).toString())
        connection.send(payload)
      },
      onClose: (connection) => void open.delete(connection),
    },
    onError: (error) => {
      throw error
    },
  })
}
// libsodium is loaded with the first offer, which takes its time.
beforeAll(async () => void (await import('@tryst/protocol/secure-tcp')))
beforeEach(() => listen())
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await listener.close()
})

/** A client whose frames are taken one by one. */
async function dial() {
  const socket = connect(listener.port, '127.0.0.1')
  sockets.push(socket)
  const frames: Uint8Array[] = []
  const decoder = new FrameDecoder(1 << 20)
  let wake: () => void = () => undefined
  let isOver = false
  socket.on('data', (chunk: Uint8Array) => {
    decoder.push(chunk, (payload) => frames.push(Uint8Array.from(payload)) > 0)
    wake()
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    isOver = true
    wake()
  })
  await once(socket, 'connect')
  const changed = () =>
    new Promise<void>((resolve) => {
      wake = resolve
    })
  return {
    send: (payload: Uint8Array) => socket.write(encodeFrame(payload)),
    write: (bytes: Uint8Array) => socket.write(bytes),
    next: async () => {
      while (frames.length === 0 && !isOver) await changed()
      return frames.shift()
    },
    over: async () => {
      while (!isOver) await changed()
      return frames
    },
    end: () => socket.destroy(),
  }
}
type Client = Awaited<ReturnType<typeof dial>>

const offered = async (client: Client) => {
  const offer = await client.next()
  if (!offer) throw new Error('the connection ended before the offer')
  return offer
}

/** Takes the offer, and has what is needed to do it again. */
async function secured(client: Client) {
  const key = createSessionKey()
  const agreed = answerKeyExchange(await offered(client), signer.publicKey, createBoxKeyPair(), key)
  if (!agreed) throw new Error('that was no offer')
  client.send(agreed.answer)
  return { answer: agreed.answer, records: agreed.records, key }
}

const keysOf = (...keys: Uint8Array[]) => encodeRendezvous({ keyExchange: { keys } })

async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

describe('encryption that silent clients are offered', () => {
  it('holds from the answer on, both ways and in order, with empty frames in the clear', async () => {
    const client = await dial()
    const { records } = await secured(client)
    for (const text of ['one', 'two', 'three']) {
      client.send(records.seal(Buffer.from(text)))
      expect(Buffer.from(records.open((await client.next()) ?? new Uint8Array(0))).toString()).toBe(text)
      client.send(new Uint8Array(0))
      expect(await client.next()).toHaveLength(0)
    }
    expect([...open].map(({ isEncrypted }) => isEncrypted)).toEqual([true])
    expect(counts).toMatchObject({ offered: 1, encrypted: 1, plain: 0 })
  })

  it('is taken when the answer and the first record come in one piece, cut anywhere', async () => {
    const client = await dial()
    const key = createSessionKey()
    const agreed = answerKeyExchange(await offered(client), signer.publicKey, createBoxKeyPair(), key)
    if (!agreed) throw new Error('that was no offer')
    const stream = Buffer.concat([encodeFrame(agreed.answer), encodeFrame(agreed.records.seal(HELLO))])
    for (const byte of stream.subarray(0, 60)) client.write(Uint8Array.of(byte))
    client.write(stream.subarray(60))
    expect(Buffer.from(agreed.records.open((await client.next()) ?? HELLO)).toString()).toBe('hello')
  })

  it('is not made to who sends at once', async () => {
    const client = await dial()
    client.send(HELLO)
    expect(Buffer.from((await client.next()) ?? []).toString()).toBe('hello')
    await new Promise((resolve) => setTimeout(resolve, 400))
    client.send(HELLO)
    expect(Buffer.from((await client.next()) ?? []).toString()).toBe('hello')
    expect(counts.offered).toBe(0)
  })

  it('may be ignored', async () => {
    const client = await dial()
    await offered(client)
    client.send(HELLO)
    expect(Buffer.from((await client.next()) ?? []).toString()).toBe('hello')
    expect(counts).toMatchObject({ offered: 1, plain: 1, encrypted: 0 })
  })

  it('is one pair for all clients of some seconds, and a recorded handshake opens nothing again', async () => {
    const [first, second] = [await dial(), await dial()]
    const { answer, records } = await secured(first)
    const record = records.seal(HELLO)
    first.send(record)
    await first.next()
    await offered(second)
    second.send(answer)
    second.send(record)
    expect(await second.over()).toEqual([])
    expect(received).toEqual(['hello'])
    expect(counts).toMatchObject({ offered: 2, encrypted: 1, refused: 1 })
  })

  it('is not taken twice with one session key, whatever public key comes with it', async () => {
    const [first, second] = [await dial(), await dial()]
    const key = createSessionKey()
    for (const client of [first, second]) {
      const agreed = answerKeyExchange(await offered(client), signer.publicKey, createBoxKeyPair(), key)
      client.send(agreed?.answer ?? HELLO)
    }
    await second.over()
    expect(counts).toMatchObject({ encrypted: 1, refused: 1 })
  })

  it('does not prolong the time until the first message', async () => {
    await listener.close()
    await listen(600)
    const client = await dial()
    await secured(client)
    const startedMs = performance.now()
    await client.over()
    expect(performance.now() - startedMs).toBeLessThan(5_000)
  })
})

describe('behind a load balancer', () => {
  it('clients are offered encryption when nothing has come behind the header', async () => {
    await listener.close()
    const headers = { trustedProxies: ['127.0.0.1/32'], timeoutMs: 5_000, onFailure: () => undefined }
    await listen(10_000, { headers })
    const client = await dial()
    client.write(Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.1 50000 21116\r\n'))
    const { records } = await secured(client)
    client.send(records.seal(HELLO))
    expect(Buffer.from(records.open((await client.next()) ?? HELLO)).toString()).toBe('hello')
    expect([...open].map(({ remote }) => remote.ip)).toEqual(['192.0.2.7'])
  })
})

describe('garbage instead of the answer to the offer', () => {
  const ours = createBoxKeyPair()
  const sealed = new Uint8Array(48).fill(9)

  it.each([
    ['one key', keysOf(ours.publicKey)],
    ['three keys', keysOf(ours.publicKey, sealed, sealed)],
    ['no key', encodeRendezvous({ keyExchange: { keys: [] } })],
    ['an empty public key', keysOf(new Uint8Array(0), sealed)],
    ['a public key of 31 bytes', keysOf(ours.publicKey.subarray(1), sealed)],
    ['a public key of 33 bytes', keysOf(new Uint8Array(33), sealed)],
    ['an empty sealed key', keysOf(ours.publicKey, new Uint8Array(0))],
    ['a sealed key of 47 bytes', keysOf(ours.publicKey, sealed.subarray(1))],
    ['a sealed key of 49 bytes', keysOf(ours.publicKey, new Uint8Array(49))],
    ['a sealed key that does not open', keysOf(ours.publicKey, sealed)],
    ['a message cut short', keysOf(ours.publicKey, sealed).subarray(0, 40)],
    ['nothing behind the tag', Uint8Array.of(0xca, 0x01)],
    ['a frame above the limit', new Uint8Array(MAX_FRAME_BYTES + 1).fill(0xca)],
    ...SMALL_ORDER.map((point) => [`the point ${point}`, keysOf(Buffer.from(point, 'hex'), sealed)] as const),
  ])('ends the connection: %s', async (_, answer) => {
    const client = await dial()
    await offered(client)
    client.send(answer)
    expect(await client.over()).toEqual([])
    expect(received).toEqual([])
    await eventually(() => open.size === 0)
    expect(counts.encrypted).toBe(0)
    expect(counts.refused + counts.unanswered).toBe(1)
  })

  it('is what an answer is that comes before the offer, or behind a message: a message like others', async () => {
    const answer = keysOf(ours.publicKey, sealed)
    const early = await dial()
    early.send(answer)
    expect(await early.next()).toEqual(Uint8Array.from(answer))
    const late = await dial()
    await offered(late)
    late.send(HELLO)
    await late.next()
    late.send(answer)
    expect(await late.next()).toEqual(Uint8Array.from(answer))
    expect(counts).toMatchObject({ encrypted: 0, refused: 0 })
  })
})

describe('garbage inside an encrypted connection', () => {
  const flipped = (bytes: Uint8Array) => bytes.map((byte, i) => (i === 20 ? byte ^ 1 : byte))

  it.each([
    ['clear text', () => [HELLO]],
    ['the answer again', (_, answer) => [answer]],
    ['a record too short for its authenticator', () => [new Uint8Array(15)]],
    ['a changed record', (records) => [flipped(records.seal(HELLO))]],
    ['a record again', (records) => ((one) => [one, one])(records.seal(HELLO))],
    ['records in another order', (records) => [records.seal(HELLO), records.seal(HELLO)].reverse()],
    ['a record left out', (records) => [records.seal(HELLO), records.seal(HELLO)].slice(1)],
    ['a record under another key', () => [new RecordLayer(createSessionKey()).seal(HELLO)]],
    ['a frame above the limit', () => [new Uint8Array(MAX_FRAME_BYTES + 1)]],
  ] as [string, (records: RecordLayer, answer: Uint8Array) => Uint8Array[]][])('ends it: %s', async (_, make) => {
    const client = await dial()
    const { records, answer } = await secured(client)
    for (const payload of make(records, answer)) client.send(payload)
    await client.over()
    expect(received.length).toBeLessThan(2)
    await eventually(() => open.size === 0)
  })

  it('of one byte is delivered as it is and counts nothing', async () => {
    const client = await dial()
    const { records } = await secured(client)
    client.send(Uint8Array.of(0x41))
    records.open((await client.next()) ?? HELLO)
    client.send(records.seal(HELLO))
    expect(Buffer.from(records.open((await client.next()) ?? HELLO)).toString()).toBe('hello')
    expect(received).toEqual(['A', 'hello'])
  })

  it('leaves nothing behind: every offer has one outcome', async () => {
    const clients = await Promise.all(Array.from({ length: 60 }, () => dial()))
    await Promise.all(
      clients.map(async (client, i) => {
        const offer = await offered(client)
        if (i % 4 === 0) client.send(HELLO)
        else if (i % 4 === 1) client.send(keysOf(offer))
        else if (i % 4 === 2) {
          const agreed = answerKeyExchange(offer, signer.publicKey, createBoxKeyPair(), createSessionKey())
          client.send(agreed?.answer ?? HELLO)
          client.send(new Uint8Array(40))
        }
        if (i % 4 === 0) await client.next()
        client.end()
        await client.over()
      }),
    )
    await eventually(() => open.size === 0)
    expect(counts.offered).toBe(60)
    expect(counts.encrypted + counts.plain + counts.refused + counts.unanswered).toBe(60)
  })
})
