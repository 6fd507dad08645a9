import { isDeepStrictEqual } from 'node:util'
import { expect, it } from '@jest/globals'
import { decodeBase64 } from '../src/base64.ts'
import { rendezvous } from '../src/generated/rendezvous.js'
import { session } from '../src/generated/session.js'
import { openIdentity } from '../src/handshake.ts'
import { RecordLayer } from '../src/record-layer.ts'
import { decodeRendezvous, encodeRendezvous } from '../src/rendezvous-message.ts'
import { decodeSession, encodeSession } from '../src/session-message.ts'
import { camelCase, type Fields, type Schema, toFields } from './message-fields.ts'
import { describeVectors, fromHex, readVectors, toHex } from './vectors.ts'

interface Event {
  conn: string
  from: string
  kind: string
  hex?: string
  plain?: string
  record?: number
  decoded?: Fields | null
  signedIdPk?: { id: string; pk: string }
}

interface ClientVectors {
  keys: { serverPublicText: string }
  recordings: {
    name: string
    connections: Record<string, { keyExchange?: { sessionKey?: string } }>
    events: Event[]
  }[]
}

interface SessionVectors {
  sessions: {
    name: string
    frames: { from: string; name: string; hex?: string; decoded?: Fields }[]
  }[]
}

interface Protocol {
  members: object
  type: string
  schemaFile: string
  decode(bytes: Uint8Array): object
  rewrite(bytes: Uint8Array): Uint8Array
}

const protocols: Protocol[] = [
  {
    members: rendezvous.RendezvousMessage.prototype,
    type: 'RendezvousMessage',
    schemaFile: 'messages.json',
    decode: decodeRendezvous,
    rewrite: (bytes) => encodeRendezvous(decodeRendezvous(bytes) as object),
  },
  {
    members: session.Message.prototype,
    type: 'Message',
    schemaFile: 'session-messages.json',
    decode: decodeSession,
    rewrite: (bytes) => encodeSession(decodeSession(bytes)),
  },
]

/** The recordings tell of each picture only how long it is. */
const withPictureLengths = (fields: Fields): Fields =>
  JSON.parse(JSON.stringify(fields), (name, value: unknown) => {
    if (name !== 'frames' || !Array.isArray(value)) return value
    return value.map(({ data, ...frame }: { data?: string }) => (data ? { ...frame, length: data.length / 2 } : frame))
  }) as Fields

/** What is wrong with the way in which we read a message: nothing, in the best case. */
function faultOf(hex: string, decoded: Fields): unknown {
  const [member] = Object.keys(decoded)
  if (member === undefined) return undefined
  const protocol = protocols.find(({ members }) => camelCase(member) in members)
  if (!protocol) return `neither protocol has a member ${member}`
  const schema = readVectors<Schema>(protocol.schemaFile)
  const read = (bytes: Uint8Array) => withPictureLengths(toFields(schema, protocol.type, protocol.decode(bytes)))
  const once = read(fromHex(hex))
  const twice = read(protocol.rewrite(fromHex(hex)))
  return isDeepStrictEqual(once, withPictureLengths(decoded)) && isDeepStrictEqual(twice, once)
    ? undefined
    : { once, twice, decoded }
}

describeVectors<ClientVectors>('real-clients.json', (vectors) => {
  it('reads every message of stock clients and writes it again with the same meaning', () => {
    const faults = vectors.recordings.flatMap(({ name, events }) =>
      events.flatMap((event) => {
        const fault = event.decoded ? faultOf(event.plain ?? event.hex ?? '', event.decoded) : undefined
        return fault === undefined ? [] : [{ name, event, fault }]
      }),
    )
    expect(faults).toEqual([])
  })

  it('opens and seals the records of encrypted connections to the ID server', () => {
    let opened = 0
    for (const { connections, events } of vectors.recordings) {
      const layers = new Map<string, RecordLayer>()
      for (const { conn, from, hex = '', plain, record } of events) {
        const sessionKey = connections[conn]?.keyExchange?.sessionKey
        if (record === undefined || sessionKey === undefined) continue
        const side = `${conn} ${from}`
        const layer = layers.get(side) ?? new RecordLayer(fromHex(sessionKey))
        layers.set(side, layer)
        expect(toHex(layer.open(fromHex(hex)))).toBe(plain)
        expect(toHex(layer.seal(fromHex(plain ?? '')))).toBe(hex)
        opened++
      }
    }
    expect(opened).toBeGreaterThan(50)
  })

  it('verifies the identities that the server signed for them', () => {
    const serverKey = decodeBase64(vectors.keys.serverPublicText)
    const signed = vectors.recordings.flatMap(({ events }) => events.filter(({ signedIdPk }) => signedIdPk))
    expect(signed.length).toBeGreaterThan(10)
    for (const { plain, hex = '', signedIdPk } of signed) {
      const message = decodeRendezvous(fromHex(plain ?? hex))
      const pk = message.punchHoleResponse?.pk ?? message.relayResponse?.pk
      const identity = serverKey && openIdentity(pk ?? new Uint8Array(0), serverKey)
      expect(identity && { id: identity.id, pk: toHex(identity.publicKey) }).toEqual(signedIdPk)
    }
  })
})

describeVectors<SessionVectors>('real-session.json', (vectors) => {
  it.each(vectors.sessions.map((one) => [one.name, one] as const))(
    'reads every frame of a whole session and writes it again with the same meaning: %s',
    (_, { frames }) => {
      const faults = frames.flatMap(({ name, hex = '', decoded }) => {
        const fault = decoded ? faultOf(hex, decoded) : undefined
        return fault === undefined ? [] : [{ name, hex, fault }]
      })
      expect(faults).toEqual([])
    },
  )
})
