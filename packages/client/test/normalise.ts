import { decodeRendezvous, formatEndpoint, unmangleAddress } from '@tryst/protocol'
import { decodeSession } from '@tryst/protocol/session'

/** What differs from run to run, by the bytes or text it has in this run; `name` stands for it in comparisons. */
export interface Known {
  /** Hex or text to name. */
  readonly names: ReadonlyMap<string, string>
  /** Addresses in mangled form to name. */
  readonly addresses: ReadonlyMap<string, string>
  /** Uuids are numbered as they appear. */
  readonly uuids: string[]
  /** Ids that a client draws. */
  readonly isDrawnId: (id: string) => boolean
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const MANGLED_FIELDS = new Set(['socketAddr', 'localAddr'])

/** A message as plain data, in which everything that differs from run to run has been given a name. */
export function normalise(hex: string, known: Known): unknown {
  if (hex === '') return 'empty frame'
  const bytes = Uint8Array.from(Buffer.from(hex, 'hex'))
  // The first messages of a peer session are told by their tags, which no rendezvous message has.
  if (/^(1a|22)/.test(hex)) return lengthsOnly(decodeSession(bytes))
  const message = decodeRendezvous(bytes)
  const union = message.union ?? 'unknown'
  // Drawn anew for every connection.
  if (message.keyExchange) return { keyExchange: message.keyExchange.keys.map((key) => key.length) }
  return { [union]: fields(message[union as keyof typeof message], known) }
}

/** Signed and sealed content is random: only which fields there are and how long they are can be compared. */
function lengthsOnly(message: ReturnType<typeof decodeSession>): unknown {
  if (message.signedId) return { signedId: { id: message.signedId.id?.length } }
  const { asymmetricValue, symmetricValue } = message.publicKey ?? {}
  return { publicKey: { asymmetricValue: asymmetricValue?.length, symmetricValue: symmetricValue?.length } }
}

function fields(value: unknown, known: Known): unknown {
  const entries = Object.entries(value as Record<string, unknown>)
    .filter(([, field]) => !isDefault(field))
    .map(([name, field]) => [name, nameOf(name, field, known)])
  return Object.fromEntries(entries)
}

/** proto3: a field that has its default value is not on the wire. */
const isDefault = (field: unknown): boolean =>
  field === 0 || field === '' || field === false || field == null || (field instanceof Uint8Array && field.length === 0)

function nameOf(name: string, field: unknown, known: Known): unknown {
  if (field instanceof Uint8Array) {
    const hex = Buffer.from(field).toString('hex')
    const byBytes = known.names.get(hex)
    if (byBytes) return byBytes
    if (!MANGLED_FIELDS.has(name)) return hex
    const address = formatEndpoint(unmangleAddress(field))
    return `${known.addresses.get(address) ?? address}, encoded anew`
  }
  if (typeof field !== 'string') return field
  if (UUID.test(field)) {
    if (!known.uuids.includes(field)) known.uuids.push(field)
    return `uuid ${known.uuids.indexOf(field) + 1}`
  }
  return known.names.get(field) ?? (name === 'id' && known.isDrawnId(field) ? 'a new id' : field)
}
