import { isDeepStrictEqual as isEqual } from 'node:util'
import { expect, it } from '@jest/globals'
import { Reader } from 'protobufjs/minimal.js'
import { ProtocolError } from '../src/errors.ts'
import { rendezvous } from '../src/generated/rendezvous.js'
import { session } from '../src/generated/session.js'
import { decodeRendezvous } from '../src/rendezvous-message.ts'
import { codecOf, type Fields, type Namespace, type Schema, toFields, toProperties } from './message-fields.ts'
import { describeVectors, fromHex, toHex } from './vectors.ts'

interface MessageCase {
  name: string
  type: string
  fields: Fields
  hex: string
  numericOrderHex?: string
  decoded?: Fields
}

interface MessageVectors extends Schema {
  envelope: MessageCase[]
  typical?: MessageCase[]
  messages: MessageCase[]
}

interface DecodeCase {
  name: string
  type: string
  hex?: string
  note?: string
  ok: boolean
  fields?: Fields
  unknownFields?: number[]
  reencodedHex?: string
}

interface RendezvousVectors extends MessageVectors {
  decode: { cases: DecodeCase[] }
}

function decode(namespace: Namespace, schema: Schema, type: string, bytes: Uint8Array) {
  const codec = codecOf(namespace, type)
  const reader = Reader.create(bytes)
  reader.discardUnknown = false
  const message = codec.decode(reader)
  return { fields: toFields(schema, type, message), reencoded: toHex(codec.encode(message).finish()) }
}

function describeMessages(namespace: Namespace, vectors: MessageVectors): void {
  const groups = { envelope: vectors.envelope, typical: vectors.typical ?? [], messages: vectors.messages }
  for (const [group, cases] of Object.entries(groups).filter(([, list]) => list.length > 0)) {
    it(`writes and reads the ${cases.length} cases of "${group}" as the reference does`, () => {
      const differing = cases.flatMap(({ name, type, fields, hex, numericOrderHex, decoded }) => {
        const written = toHex(
          codecOf(namespace, type)
            .encode(toProperties(vectors, type, fields))
            .finish(),
        )
        const read = decode(namespace, vectors, type, fromHex(hex)).fields
        const isSame = written === (numericOrderHex ?? hex) && isEqual(read, decoded ?? fields)
        return isSame ? [] : [{ name, written, hex: numericOrderHex ?? hex, read, expected: decoded ?? fields }]
      })
      expect(differing).toEqual([])
    })
  }
}

/** The input of a case: given as hex, or as a note how to build it. */
function inputOf({ hex, note = '' }: DecodeCase): Uint8Array {
  if (hex !== undefined) return fromHex(hex)
  const nested = /^9b06 (\d+) times, then 9c06 (\d+) times$/.exec(note)
  if (nested) return fromHex('9b06'.repeat(Number(nested[1])) + '9c06'.repeat(Number(nested[2])))
  const repeated = /^([0-9a-f]+) repeated (\d+) times$/.exec(note)
  if (repeated) return fromHex((repeated[1] as string).repeat(Number(repeated[2])))
  throw new Error(`unreadable note: ${note}`)
}

/** Corners in which our parser differs from the reference's, each with why no stock client sends it. */
const KNOWN_DIFFERENCES: { how: string; why: string; cases: string[] }[] = [
  {
    how: 'a sub-message that occurs twice is merged instead of replaced',
    why: 'clients write every field once; two members would be two messages',
    cases: [
      'the same oneof member twice: replaced, not merged',
      'a sub-message field twice (ControlPermissions and nothing)',
      'TestNatResponse.cu twice: replaced, not merged',
    ],
  },
  {
    how: 'an int32 above 32 bits is cut instead of refused',
    why: 'clients write negative numbers with 10 bytes and have no larger ones',
    cases: ['int32 as 5-byte varint of -1', 'int32 with bits above 32'],
  },
  {
    how: 'a length beyond the end is refused although the content ends between two fields',
    why: 'clients announce the length that they write; frames and datagrams arrive whole',
    cases: [
      'length beyond the end in the envelope, content complete: accepted',
      'length beyond the end in the envelope, one too long: accepted',
      'length beyond the end in the envelope, content cut between two fields: accepted',
      'length beyond the end, no content at all: accepted',
    ],
  },
  {
    how: 'unknown groups are kept when a message is forwarded instead of dropped',
    why: 'proto3, in which all clients are written, has no groups',
    cases: [
      'unknown group, empty',
      'unknown group with a field',
      'unknown groups nested 50 deep',
      'unknown groups nested 99 deep',
      'unknown groups nested 100 deep',
      'unknown groups nested 101 deep',
      'known group number: field 1 as a group',
    ],
  },
  {
    how: 'a group that ends with another number is refused',
    why: 'proto3, in which all clients are written, has no groups',
    cases: ['end group of another number'],
  },
  {
    how: 'unknown fields are written in the order in which they came instead of by type',
    why: 'readers must not depend on the order of fields, and clients do not',
    cases: ['unknown varint, fixed32 and fixed64 fields in front'],
  },
]

describeVectors<RendezvousVectors>('messages.json', (vectors) => {
  describeMessages(rendezvous, vectors)

  it('makes of unusual input what the reference makes of it, but for the known corners', () => {
    const isDifferent = (one: DecodeCase): boolean => {
      const reencoded = one.reencodedHex === 'same' ? one.hex : one.reencodedHex
      const expected = one.ok ? { fields: one.fields, reencoded } : 'refused'
      let found: unknown = 'refused'
      try {
        found = decode(rendezvous, vectors, one.type, inputOf(one))
      } catch {
        // Refused, as the reference may have done too.
      }
      return !isEqual(found, expected)
    }
    const differing = vectors.decode.cases.filter(isDifferent).map(({ name }) => name)
    expect(differing.sort()).toEqual(KNOWN_DIFFERENCES.flatMap(({ cases }) => cases).sort())
  })

  it('refuses what the reference refuses by the one error of the codec', () => {
    const refused = vectors.decode.cases.filter(({ ok, type }) => !ok && type === 'RendezvousMessage')
    for (const one of refused) expect(() => decodeRendezvous(inputOf(one))).toThrow(ProtocolError)
  })
})

describeVectors<MessageVectors>('session-messages.json', (vectors) => {
  describeMessages(session, vectors)
})
