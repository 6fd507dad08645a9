import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import Long from 'long'
import protobuf from 'protobufjs'
import { ProtocolError } from '../src/errors.ts'
import { rendezvous } from '../src/generated/rendezvous.js'
import { session } from '../src/generated/session.js'
import { openIdentity, readControllerAnswer } from '../src/handshake.ts'
import { RecordLayer } from '../src/record-layer.ts'
import { decodeRendezvous } from '../src/rendezvous-message.ts'
import { answerKeyExchange, readKeyExchangeAnswer } from '../src/secure-tcp.ts'
import { createBoxKeyPair } from '../src/session-key.ts'
import { decodeSession } from '../src/session-message.ts'
import { type Codec, codecOf, type Namespace } from './message-fields.ts'

const text = fc.string({ unit: 'binary', maxLength: 20 })
const scalars: Record<string, fc.Arbitrary<unknown>> = {
  string: text,
  bytes: fc.uint8Array({ maxLength: 40 }),
  bool: fc.boolean(),
  int32: fc.integer(),
  sint32: fc.integer(),
  uint32: fc.integer({ min: 0, max: 0xffffffff }),
  uint64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => Long.fromString(String(value), true)),
  int64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => Long.fromString(String(value))),
  double: fc.double({ noNaN: true }),
}

function anyValueOf(field: protobuf.Field, depth: number): fc.Arbitrary<unknown> {
  const { resolvedType } = field.resolve()
  if (resolvedType instanceof protobuf.Type) return messageOf(resolvedType, depth - 1)
  const scalar = resolvedType ? fc.integer({ min: 0, max: 200 }) : scalars[field.type]
  if (!scalar) throw new Error(`no values for ${field.type}`)
  return scalar
}

/** Any message of a type, as the schema has it; sub-messages end at the given depth. */
function messageOf(type: protobuf.Type, depth: number): fc.Arbitrary<Record<string, unknown>> {
  const usable = type.fieldsArray.filter(
    (field) => depth > 0 || !(field.resolve().resolvedType instanceof protobuf.Type),
  )
  const members = new Map<string, fc.Arbitrary<Record<string, unknown>>[]>()
  for (const field of usable) {
    const value = anyValueOf(field, depth)
    const list = field.repeated ? fc.array(value, { maxLength: 3 }) : value
    const group = field.partOf?.name ?? field.name
    members.set(group, [...(members.get(group) ?? []), list.map((each) => ({ [field.name]: each }))])
  }
  const optional = [...members.values()].map((choices) => fc.oneof(fc.constant({}), ...choices))
  return fc.tuple(...optional).map((parts) => Object.assign({}, ...parts) as Record<string, unknown>)
}

const plain = { longs: String, bytes: String, defaults: true, arrays: true, oneofs: true } as const

describe.each([
  ['rendezvous', rendezvous as Namespace],
  ['session', session as Namespace],
])('messages of %s.proto', (schema, namespace) => {
  const root = protobuf.loadSync(new URL(`../proto/${schema}.proto`, import.meta.url).pathname)
  const types: protobuf.Type[] = []
  const collect = (at: protobuf.NamespaceBase) => {
    for (const each of at.nestedArray) {
      if (each instanceof protobuf.Type) types.push(each)
      if (each instanceof protobuf.Namespace) collect(each)
    }
  }
  collect(root)

  it('survive the way there and back, whatever they hold', () => {
    expect(types.length).toBeGreaterThan(20)
    for (const type of types) {
      const codec: Codec = codecOf(namespace, type.fullName.split('.').slice(2).join('.'))
      fc.assert(
        fc.property(messageOf(type, 3), (message) => {
          const bytes = codec.encode(message).finish()
          const read = codec.decode(protobuf.Reader.create(bytes))
          expect(type.toObject(read as protobuf.Message, plain)).toEqual(type.toObject(type.create(message), plain))
        }),
        { numRuns: 20 },
      )
    }
  })
})

const keyPair = createBoxKeyPair()
const key = new Uint8Array(32).fill(9)
const readers: [string, (bytes: Uint8Array) => unknown][] = [
  ['a rendezvous message', decodeRendezvous],
  ['a session message', decodeSession],
  ['a signed identity', (bytes) => openIdentity(bytes, key)],
  ["a controller's answer", (bytes) => readControllerAnswer(bytes, keyPair)],
  ['an offered key', (bytes) => answerKeyExchange(bytes, key, keyPair, key)],
  ['an answered key', (bytes) => readKeyExchangeAnswer([bytes.subarray(0, 32), bytes.subarray(32)], keyPair)],
  ['a record', (bytes) => new RecordLayer(key).open(bytes)],
]

/** Bytes that go further than random ones: real messages with some bytes changed. */
const almostMessages = fc
  .tuple(
    fc.constantFrom(
      rendezvous.RendezvousMessage.encode({ keyExchange: { keys: [new Uint8Array(96)] } }).finish(),
      rendezvous.RendezvousMessage.encode({ registerPk: { id: '1', uuid: key, pk: key } }).finish(),
      session.Message.encode({ publicKey: { asymmetricValue: key, symmetricValue: new Uint8Array(48) } }).finish(),
      session.Message.encode({ loginRequest: { username: 'x', option: { imageQuality: 3 }, sessionId: 5 } }).finish(),
    ),
    fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }),
  )
  .map(([message, changes]) => {
    const bytes = Uint8Array.from(message)
    for (const [at, value] of changes) bytes[at % bytes.length] = value
    return bytes
  })

describe('reading bytes of strangers', () => {
  it.each(readers)('throws nothing but ProtocolError: %s', (_, read) => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), almostMessages), (bytes) => {
        try {
          read(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError)
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('allocates nothing for a length that is only announced', () => {
    const announcing = Uint8Array.from([0x42, 0xff, 0xff, 0xff, 0x7f, 0x0a, 0xfe, 0xff, 0xff, 0x7f])
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 1000; i++) expect(() => decodeRendezvous(announcing)).toThrow(ProtocolError)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20)
  })

  it('refuses messages that are nested without end', () => {
    const groups = new Uint8Array(300_000).fill(0x0b)
    expect(() => decodeRendezvous(groups)).toThrow(ProtocolError)
    expect(() => decodeSession(groups)).toThrow(ProtocolError)
  })
})
