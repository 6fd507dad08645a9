import type { ClientConnection } from './connection.ts'
import type { PeerId } from './peer-identity.ts'

/** Clients are sent an empty message so often within the keep-alive that was announced to them. */
const BEATS_PER_KEEP_ALIVE = 2
/** A client that has answered so few beats in a row is gone: that is within 1.5 of the keep-alive. */
const UNANSWERED_BEATS = 2
/** Beats are a little early, so that what is found out at the third one is found out in time. */
const EARLIER = 0.98
/** Connections are beaten in so many groups, one after the other. */
const GROUPS = 40
/** A client that does not read what it is sent gets nothing more beyond this. */
const MAX_UNSENT_BYTES = 64 * 1024

const BEAT = new Uint8Array(0)

/** One connection that is kept. */
export interface Kept {
  readonly connection: ClientConnection
  /** Different from that of every other connection of this node; says what carries it. */
  readonly name: string
  /** The device that is reached over it. */
  id: PeerId | undefined
  unansweredBeats: number
  /** A controller keeps it, as long as its session lives. */
  isSession: boolean
  readonly group: Set<Kept>
}

/** Whether a connection with this name is a WebSocket, on whichever node it is. */
export const isWebSocketName = (name: string): boolean => name.startsWith('websocket-')

/** Where a connection is noted that it is kept: in itself, since it is looked for at every message. */
const KEPT = Symbol('kept connection')
type Keeping = ClientConnection & { [KEPT]?: Kept | undefined }

/**
 * Connections that stay open while their clients have nothing to say, and which device each of them leads to
 * (docs/protocol.md, registration over a connection). Whether a client is still there is found out by empty messages,
 * which it sends back. The groups share one clock: no connection has a timer of its own, and however many come at once
 * they are spread over the groups.
 */
export class KeptConnections {
  readonly #groups: readonly Set<Kept>[] = Array.from({ length: GROUPS }, () => new Set())
  readonly #byId = new Map<PeerId, Kept>()
  readonly #groupMs: number
  #size = 0
  #sessions = 0
  #made = 0
  #nextGroup = 0
  #turnedMs = Number.NaN

  constructor(readonly keepAliveMs: number) {
    this.#groupMs = (keepAliveMs / BEATS_PER_KEEP_ALIVE / GROUPS) * EARLIER
  }

  /** Connections that are kept. */
  get size(): number {
    return this.#size
  }

  /** Those that a device is reached over. */
  get devices(): number {
    return this.#byId.size
  }

  /** Those of controllers whose sessions live. */
  get sessions(): number {
    return this.#sessions
  }

  /** The connection stays open from now on, as long as its client answers. May be called twice. */
  keep(connection: Keeping): Kept {
    const before = connection[KEPT]
    if (before) return before
    const group = this.#groups.reduce((smallest, other) => (other.size < smallest.size ? other : smallest))
    const kept: Kept = {
      connection,
      name: `${connection.transport}-${++this.#made}`,
      id: undefined,
      unansweredBeats: 0,
      isSession: false,
      group,
    }
    connection[KEPT] = kept
    group.add(kept)
    this.#size++
    connection.keep()
    return kept
  }

  /** As `keep`, by a controller whose session lives. May be called twice. */
  keepForSession(connection: Keeping): void {
    const kept = this.keep(connection)
    if (!kept.isSession) this.#sessions++
    kept.isSession = true
  }

  /** Whether the connection is kept. */
  find(connection: Keeping): Kept | undefined {
    return connection[KEPT]
  }

  /** A message came: the client is there. */
  heard(connection: Keeping): Kept | undefined {
    const kept = connection[KEPT]
    if (kept) kept.unansweredBeats = 0
    return kept
  }

  /** The connection that this device is reached over. */
  of(id: PeerId): Kept | undefined {
    return this.#byId.get(id)
  }

  /** The device is reached over this connection from now on. One that it was reached over before is ended. */
  lead(kept: Kept, id: PeerId): void {
    if (kept.id === id) return
    if (kept.id !== undefined) this.#byId.delete(kept.id)
    this.part(id)
    kept.id = id
    this.#byId.set(id, kept)
  }

  /** The device is reached in another way, or not at all: its connection is ended. */
  part(id: PeerId): void {
    const kept = this.#byId.get(id)
    if (!kept) return
    this.#byId.delete(id)
    kept.id = undefined
    kept.connection.destroy()
  }

  /** The connection has ended. The device that was reached over it, if there is one. */
  drop(connection: Keeping): Kept | undefined {
    const kept = connection[KEPT]
    if (!kept) return undefined
    connection[KEPT] = undefined
    kept.group.delete(kept)
    this.#size--
    if (kept.isSession) this.#sessions--
    if (kept.id !== undefined) this.#byId.delete(kept.id)
    return kept
  }

  /** What the client is to be told; false: it does not read. */
  push({ connection }: Kept, message: Uint8Array): boolean {
    if (connection.isClosed || connection.unsentBytes > MAX_UNSENT_BYTES) return false
    connection.send(message)
    return true
  }

  /** Beats what is due and ends the connections whose clients are gone; to be called a few times a second. */
  turn(nowMs: number): void {
    // A clock that was set back, or a process that slept, is no reason to take clients for dead.
    if (!(nowMs >= this.#turnedMs) || nowMs - this.#turnedMs > GROUPS * this.#groupMs) this.#turnedMs = nowMs
    for (; this.#turnedMs + this.#groupMs <= nowMs; this.#turnedMs += this.#groupMs) {
      for (const kept of this.#groups[this.#nextGroup] ?? []) this.#beat(kept)
      this.#nextGroup = (this.#nextGroup + 1) % GROUPS
    }
  }

  #beat(kept: Kept): void {
    if (kept.unansweredBeats >= UNANSWERED_BEATS) {
      kept.connection.destroy()
      return
    }
    kept.unansweredBeats++
    this.push(kept, BEAT)
  }
}
