import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Recordings of stock clients: what they sent to their servers and to each other, and what they were answered. */
export interface RecordedEvent {
  /** Seconds since the first event. */
  readonly t: number
  readonly conn: string
  readonly transport: 'tcp' | 'udp' | 'ws' | 'http'
  readonly from: string
  readonly to: string
  readonly kind: 'open' | 'message' | 'close' | 'reset' | 'bytes' | 'wsControl'
  readonly hex?: string
  /** What an encrypted record holds. */
  readonly plain?: string
  readonly note?: string
  readonly encrypted?: boolean
  /** The fields of the message; null where it is none. */
  readonly decoded?: unknown
  /** Mangled addresses in the message, decoded. */
  readonly addresses?: Readonly<Record<string, string>>
  readonly upgrade?: { readonly request: readonly string[] }
}

export interface Recording {
  readonly name: string
  readonly about: string
  readonly connections: Readonly<
    Record<
      string,
      {
        client: string
        server: string
        transport: string
        clientPort: number
        serverPort: number
        keyExchange?: { serverEphemeralSecret: string }
      }
    >
  >
  readonly events: readonly RecordedEvent[]
  readonly shown?: readonly {
    readonly message?: { readonly type: string; readonly text: string; readonly retry: boolean }
    readonly changeId?: { readonly old: string; readonly new: string; readonly answer: string }
    readonly connection?: { readonly secured: boolean; readonly direct: boolean }
    readonly online?: readonly string[]
    readonly offline?: readonly string[]
  }[]
}

export interface RecordedFrame {
  readonly t: number
  readonly from: 'device' | 'controller'
  readonly name: string
  readonly hex?: string
}

export interface RecordedSession {
  readonly name: string
  readonly frames: readonly RecordedFrame[]
}

const folder = process.env.VECTORS_DIR ?? resolve(import.meta.dirname, '../../../../shared/vectors')
const load = (file: string) => JSON.parse(readFileSync(join(folder, file), 'utf8'))

/** Why the suites that need the recordings cannot run; undefined: they can. */
export const missing = existsSync(join(folder, 'real-clients.json'))
  ? undefined
  : `no recordings in ${folder}; set VECTORS_DIR`

export const clients: {
  readonly recordings: readonly Recording[]
  readonly keys: { serverPublicText: string; serverSecretText: string }
  readonly ids: { device: string; password: string }
} = missing
  ? { recordings: [], keys: { serverPublicText: '', serverSecretText: '' }, ids: { device: '', password: '' } }
  : load('real-clients.json')

export const sessions: readonly RecordedSession[] = missing ? [] : load('real-session.json').sessions

export const recordingNamed = (name: string): Recording => {
  const found = clients.recordings.find((recording) => recording.name === name)
  if (!found) throw new Error(`no recording is called ${name}`)
  return found
}

export type Role = 'device' | 'controller'

/** What one client did and was answered, in order; connections are called after whom they lead to. */
export interface ScriptEvent extends RecordedEvent {
  /** `udp-1`, `hbbs-1`, `hbbs-nat-1`, `hbbr-1`, `out-1` and `in-1` for direct connections opened and taken. */
  readonly label: string
  /** This connection is refused. */
  readonly isRefused: boolean
}

/**
 * The part of a recording that concerns one client. Left out are its calls to the API and, behind each of them that
 * failed, a connection to PORT for the same call, since our peers make none by themselves; and everything behind the peer handshake, which is
 * encrypted here and compared in the suite of whole sessions.
 *
 * @param options.registration false: the client was registered long before, heartbeats in between say nothing
 */
export function scriptFor(
  role: Role,
  recording: Recording,
  options: { readonly registration: boolean },
): readonly ScriptEvent[] {
  const labels = labelConnections(role, recording)
  const finished = new Set<string>()
  const kept: ScriptEvent[] = []
  for (const event of recording.events) {
    const label = labels.get(event.conn)
    if (!label || finished.has(label) || event.kind === 'wsControl' || event.encrypted) continue
    if (!options.registration && event.transport === 'udp' && /^3[2a]/.test(event.hex ?? '')) continue
    const isPeerConnection = /^(in|out|hbbr)-/.test(label)
    if (isPeerConnection && event.kind === 'close') continue
    const hex = event.plain ?? event.hex
    kept.push({ ...event, ...(hex === undefined ? {} : { hex }), label, isRefused: isRefused(recording, event.conn) })
    const endsHandshake = event.from === role && event.kind === 'message' && /^(1a|22|$)/.test(event.hex ?? '')
    if (isPeerConnection && endsHandshake) finished.add(label)
  }
  return kept
}

const isRefused = ({ events }: Recording, conn: string): boolean =>
  events.some((event) => event.conn === conn && event.note === 'connection refused')

function labelConnections(role: Role, recording: Recording): Map<string, string> {
  const counts = new Map<string, number>()
  const labels = new Map<string, string>()
  for (const { conn, transport } of recording.events) {
    const connection = recording.connections[conn]
    if (!connection || labels.has(conn) || isForeign(role, recording, conn)) continue
    const kind = conn.startsWith('direct')
      ? connection.client === role
        ? 'out'
        : 'in'
      : transport === 'udp'
        ? 'udp'
        : connection.server
    const count = (counts.get(kind) ?? 0) + 1
    counts.set(kind, count)
    labels.set(conn, `${kind}-${count}`)
  }
  return labels
}

/** Connections of others, calls to the API and what follows from them; the device's attempt at a controller's port. */
function isForeign(role: Role, { connections, events }: Recording, conn: string): boolean {
  const own = events.filter((event) => event.conn === conn)
  const opened = own[0]
  const connection = connections[conn]
  if (!opened || !connection || opened.transport === 'http') return true
  if (conn.startsWith('direct')) return role === 'controller' && connection.client !== role
  if (connection.client !== role) return true
  const followsApiCall = events.some(
    ({ transport, kind, t }) => transport === 'http' && kind === 'open' && opened.t >= t && opened.t - t < 0.1,
  )
  const isApiCall = own.some(({ plain }) => plain?.startsWith(HTTP_PROXY_REQUEST))
  return followsApiCall && connection.server === 'hbbs' && (isApiCall || own.every(({ kind }) => kind !== 'message'))
}

/** How the message begins. */
export const HTTP_PROXY_REQUEST = 'da01'
