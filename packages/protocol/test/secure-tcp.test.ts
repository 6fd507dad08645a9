import { createHash } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { ProtocolError } from '../src/errors.ts'
import { encodeFrame, FrameDecoder } from '../src/frame.ts'
import { signCombined, signingKeyPairOf } from '../src/handshake.ts'
import type { Signer } from '../src/identity.ts'
import { RecordLayer } from '../src/record-layer.ts'
import { decodeRendezvous } from '../src/rendezvous-message.ts'
import { answerKeyExchange, keyExchangeOffer, readKeyExchangeAnswer } from '../src/secure-tcp.ts'
import { boxKeyPairOf, createBoxKeyPair, createSessionKey } from '../src/session-key.ts'
import { describeVectors, fromHex, toHex } from './vectors.ts'

interface Handshake {
  name: string
  serverSignSeed: string
  serverSignPublic: string
  serverEphemeralSecret: string
  serverEphemeralPublic: string
  clientEphemeralSecret: string
  clientEphemeralPublic: string
  symmetricKey: string
  serverMessage: string
  serverFrame: string
  clientMessage: string
  clientFrame: string
}

interface Record {
  name: string
  how: string
  plain?: string
  plainRepeat?: { byte: string; times: number }
  wire?: string
  wireLength?: number
  wireStart?: string
  wireSha256?: string
}

interface SecureTcpVectors {
  handshakes: Handshake[]
  serverReadsAnswer: { cases: { name: string; keys: string[]; key?: string }[] }
  clientReadsOffer: { cases: { name: string; payload: string; result: string; configuredKey?: string }[] }
  records: { key: string; cases: Record[] }
  reading: { key: string; cases: { name: string; steps: { wire: string; result: { plain?: string } }[] }[] }
  webSocketRecords: { key: string; cases: { name: string; payload: string }[] }
}

const signerOf = (seed: Uint8Array): Signer => {
  const { publicKey, secretKey } = signingKeyPairOf(seed)
  return { publicKey, sign: (message) => signCombined(message, secretKey).subarray(0, 64) }
}

const payloadOf = (frame: Uint8Array): Uint8Array => {
  let found: Uint8Array | undefined
  new FrameDecoder(1 << 20).push(frame, (payload) => {
    found = payload
    return true
  })
  if (!found) throw new Error('no whole frame')
  return found
}

describeVectors<SecureTcpVectors>('secure-tcp.json', (vectors) => {
  const [first] = vectors.handshakes
  if (!first) throw new Error('no handshakes')
  const offered = boxKeyPairOf(fromHex(first.serverEphemeralSecret))
  const clients = boxKeyPairOf(fromHex(first.clientEphemeralSecret))

  it.each(vectors.handshakes.map((one) => [one.name, one] as const))(
    'shakes hands with the same bytes: %s',
    (_, one) => {
      const ours = boxKeyPairOf(fromHex(one.serverEphemeralSecret))
      expect(toHex(ours.publicKey)).toBe(one.serverEphemeralPublic)
      const offer = keyExchangeOffer(signerOf(fromHex(one.serverSignSeed)), ours)
      expect([toHex(offer), toHex(encodeFrame(offer))]).toEqual([one.serverMessage, one.serverFrame])
      const theirs = boxKeyPairOf(fromHex(one.clientEphemeralSecret))
      const client = answerKeyExchange(offer, fromHex(one.serverSignPublic), theirs, fromHex(one.symmetricKey))
      expect([toHex(client?.answer ?? offer), toHex(encodeFrame(client?.answer ?? offer))]).toEqual([
        one.clientMessage,
        one.clientFrame,
      ])
    },
  )

  it.each(vectors.serverReadsAnswer.cases.map((one) => [one.name, one] as const))(
    'the server reads an answer: %s',
    (_, one) => {
      const read = () => readKeyExchangeAnswer(one.keys.map(fromHex), offered)
      if (one.key === undefined) expect(read).toThrow(ProtocolError)
      else expect(toHex(read().key)).toBe(one.key)
    },
  )

  it.each(vectors.clientReadsOffer.cases.map((one) => [one.name, one] as const))(
    'the client reads an offer: %s',
    (_, one) => {
      const configured = fromHex(one.configuredKey ?? first.serverSignPublic)
      const read = () => answerKeyExchange(fromHex(one.payload), configured, clients, fromHex(first.symmetricKey))
      if (one.result === 'accepted') expect(toHex(read()?.answer ?? new Uint8Array(0))).toBe(first.clientMessage)
      else if (one.result.startsWith('swallowed')) expect(read()).toBeUndefined()
      else expect(read).toThrow(ProtocolError)
    },
  )

  it('writes and reads the same records, in order', () => {
    const sender = new RecordLayer(fromHex(vectors.records.key))
    const receiver = new RecordLayer(fromHex(vectors.records.key))
    for (const one of vectors.records.cases) {
      const { plainRepeat } = one
      const plain = plainRepeat ? Buffer.alloc(plainRepeat.times, plainRepeat.byte, 'hex') : fromHex(one.plain ?? '')
      const payload = one.how === 'encrypted' ? sender.sealAnyLength(plain) : plain
      const wire = encodeFrame(payload)
      if (one.wire !== undefined) expect([one.name, toHex(wire)]).toEqual([one.name, one.wire])
      else {
        expect([wire.length, toHex(wire).slice(0, one.wireStart?.length)]).toEqual([one.wireLength, one.wireStart])
        expect(createHash('sha256').update(wire).digest('hex')).toBe(one.wireSha256)
      }
      expect([one.name, toHex(receiver.open(payload))]).toEqual([one.name, toHex(plain)])
    }
  })

  it.each(vectors.reading.cases.map((one) => [one.name, one] as const))('reads records: %s', (_, one) => {
    const records = new RecordLayer(fromHex(vectors.reading.key))
    for (const { wire, result } of one.steps) {
      const read = () => toHex(records.open(payloadOf(fromHex(wire))))
      if (result.plain === undefined) expect(read).toThrow(ProtocolError)
      else expect(read()).toBe(result.plain)
    }
  })

  it('writes the same records on a WebSocket, without a header', () => {
    const records = new RecordLayer(fromHex(vectors.webSocketRecords.key))
    const plain = fromHex('820100')
    const written = [records.seal(plain), records.seal(new Uint8Array(0)), records.seal(plain)].map(toHex)
    expect(written).toEqual(vectors.webSocketRecords.cases.map(({ payload }) => payload))
  })
})

describe('secure TCP', () => {
  const signer = signerOf(new Uint8Array(32).fill(1))

  it('lets both sides read each other after the handshake', () => {
    const server = createBoxKeyPair()
    const client = answerKeyExchange(
      keyExchangeOffer(signer, server),
      signer.publicKey,
      createBoxKeyPair(),
      createSessionKey(),
    )
    if (!client) throw new Error('the offer was not recognised')
    const keys = decodeRendezvous(client.answer).keyExchange?.keys ?? []
    const records = readKeyExchangeAnswer(keys, server)
    const message = fromHex('320d0a093132333435363738391003')
    expect(records.open(client.records.seal(message))).toEqual(message)
    expect(client.records.open(records.seal(message))).toEqual(message)
  })

  it('refuses to answer an offer of small order, whose secret everybody knows', () => {
    const offer = keyExchangeOffer(signer, { publicKey: new Uint8Array(32), secretKey: new Uint8Array(32) })
    const answer = () => answerKeyExchange(offer, signer.publicKey, createBoxKeyPair(), createSessionKey())
    expect(answer).toThrow(ProtocolError)
  })
})
