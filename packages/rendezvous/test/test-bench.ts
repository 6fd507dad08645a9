import {
  decodeRendezvous,
  type Endpoint,
  encodeRendezvous,
  type OutgoingRendezvousMessage,
  type RendezvousMessage,
  type Signer,
} from '@tryst/protocol'
import type { Cluster } from '../src/cluster.ts'
import type { ClientConnection, DatagramPort } from '../src/connection.ts'
import type { RendezvousEvents } from '../src/events.ts'
import {
  type FoundIdentity,
  type IdentityStanding,
  type IdentityStore,
  type NewPeerIdentity,
  type RenameOutcome,
  type Renaming,
  StoreUnavailableError,
} from '../src/identity-store.ts'
import type { PeerId, PeerIdentity } from '../src/peer-identity.ts'
import { sameBytes } from '../src/register-pk.ts'
import { noTickets } from '../src/relay-tickets.ts'
import type { RendezvousPorts } from '../src/rendezvous-ports.ts'
import { RendezvousServer } from '../src/rendezvous-server.ts'
import { DEFAULT_REGISTRATION_LIMITS, type RendezvousSettings } from '../src/settings.ts'
import { MemoryAccess } from './memory-access.ts'

/** Identities in a Map; `failing` makes every call fail, as a store that is away; `pause` comes before each answer. */
export class MemoryIdentities implements IdentityStore {
  pause: Promise<void> | undefined
  standing: IdentityStanding = 'certain'
  readonly rows = new Map<PeerId, FoundIdentity>()
  failing = false
  writes = 0

  async find(id: PeerId) {
    await this.pause
    this.#check()
    const row = this.rows.get(id)
    return row && { ...row, standing: this.standing }
  }

  async create(identity: NewPeerIdentity) {
    await this.pause
    this.#check()
    const taken = this.rows.get(identity.id)
    const isHeldForIt = taken?.movedTo !== undefined && sameBytes(taken.uuid, identity.uuid)
    if (taken && !isHeldForIt) return { created: false, identity: { ...taken, standing: this.standing } }
    const stored = { ...copyOf(identity), guid: new Uint8Array(16), standing: 'certain' as const }
    this.rows.set(identity.id, stored)
    this.writes++
    return { created: true, identity: stored }
  }

  async update(current: PeerIdentity, change: { publicKey: Uint8Array; ip: string }) {
    this.#check()
    const stored = this.rows.get(current.id)
    if (stored?.publicKey !== current.publicKey || stored.movedTo) return false
    this.rows.set(current.id, { ...stored, publicKey: Uint8Array.from(change.publicKey), ip: change.ip })
    this.writes++
    return true
  }

  async rename({ from, to, uuid }: Renaming): Promise<RenameOutcome> {
    await this.pause
    this.#check()
    const row = this.rows.get(from)
    const target = this.rows.get(to)
    if (!row || row.movedTo || !sameBytes(row.uuid, uuid)) return 'not-its-own'
    if (target && !sameBytes(target.uuid, uuid)) return 'taken'
    this.rows.set(to, { ...row, id: to })
    this.rows.set(from, { ...row, movedTo: to })
    this.writes++
    return 'renamed'
  }

  async remove(id: PeerId) {
    this.#check()
    return this.rows.delete(id)
  }

  async close() {}

  #check() {
    if (this.failing) throw new StoreUnavailableError('the store is away')
  }
}

const copyOf = (identity: NewPeerIdentity): NewPeerIdentity => ({
  ...identity,
  uuid: Uint8Array.from(identity.uuid),
  publicKey: Uint8Array.from(identity.publicKey),
})

/** No other node. */
export const alone: Cluster = {
  isAlone: true,
  isCutOff: false,
  join: async () => undefined,
  claim: async () => undefined,
  release: async () => undefined,
  locate: async (ids) => ids.map(() => undefined),
  push: async () => 'not-mine',
  awaitAnswers: () => undefined,
  dismiss: async () => undefined,
  hasDeviceInNetwork: async () => false,
  answer: async () => false,
  retire: async () => undefined,
  leave: async () => undefined,
}

/** Marks what was signed: 64 bytes of 7. */
export const signer: Signer = { publicKey: new Uint8Array(32), sign: () => new Uint8Array(64).fill(7) }

/** A controller's or device's connection; keeps what it was sent. */
export class TestConnection implements ClientConnection {
  readonly received: RendezvousMessage[] = []
  closed = false
  isDestroyed = false
  isKept = false
  unsentBytes = 0
  /** Empty messages that it was sent. */
  beats = 0

  get isClosed(): boolean {
    return this.closed
  }

  constructor(
    readonly remote: Endpoint,
    readonly transport: 'tcp' | 'websocket' = 'tcp',
  ) {}

  send(payload: Uint8Array): void {
    if (payload.length === 0) this.beats++
    else this.received.push(decodeRendezvous(payload))
  }

  keep(): void {
    this.isKept = true
  }

  close(): void {
    this.closed = true
  }

  destroy(): void {
    this.closed = true
    this.isDestroyed = true
  }
}

/** Everything around a RendezvousServer, with a clock that stands still until it is set. */
export class TestBench {
  nowMs = Date.UTC(2026, 0, 1)
  readonly identities = new MemoryIdentities()
  readonly access = new MemoryAccess()
  readonly events: string[] = []
  readonly contradictions: Parameters<RendezvousEvents['identityContradicted']>[] = []
  /** Datagrams that left: `ip:port` and the message. */
  readonly sent: { to: string; message: RendezvousMessage }[] = []
  readonly server: RendezvousServer
  #random = 1

  constructor(settings: Partial<RendezvousSettings> = {}, ports: Partial<RendezvousPorts> = {}) {
    const note =
      (name: string) =>
      (...details: unknown[]) =>
        void this.events.push(
          [name, ...details.map((detail) => (typeof detail === 'object' ? '' : detail))].join(' ').trim(),
        )
    const events: RendezvousEvents = {
      registered: note('registered'),
      uuidMismatch: note('uuidMismatch'),
      identityContradicted: (...details) => void this.contradictions.push(details),
      newKeyRefused: (id, { ip, port }, before) => void this.events.push(`newKeyRefused ${id} ${ip}:${port} ${before}`),
      cloneFound: (id, { ip, port }, original, isHealed) =>
        void this.events.push(`cloneFound ${id} ${ip}:${port} after ${original}${isHealed ? ' healed' : ''}`),
      idChanged: note('idChanged'),
      idTakenBack: note('idTakenBack'),
      idChangeRefused: note('idChangeRefused'),
      notAdmitted: note('notAdmitted'),
      controlRefused: note('controlRefused'),
      keyMismatch: note('keyMismatch'),
      ipChanged: note('ipChanged'),
      serverListUpdated: note('serverListUpdated'),
      limitHit: note('limitHit'),
      unavailable: note('unavailable'),
    }
    this.server = new RendezvousServer(
      {
        expectedKey: 'KEY',
        relayServers: ['relay.example:21117'],
        relayRules: [],
        fallbackRelay: '',
        relayPort: 21117,
        alwaysUseRelay: false,
        lan: undefined,
        serial: 0,
        rendezvousServers: [],
        softwareUrl: '',
        limits: DEFAULT_REGISTRATION_LIMITS,
        maxDevices: 1000,
        keepAliveMs: 20_000,
        maxKeptDevices: 1000,
        ...settings,
      },
      {
        identities: this.identities,
        access: this.access,
        cluster: alone,
        tickets: noTickets,
        announcedRelays: { live: () => [], isFresh: true },
        signer,
        events,
        clock: () => this.nowMs,
        random: () => (this.#random = (this.#random * 1_664_525 + 1_013_904_223) >>> 0),
        asciiText: (bytes, start, end) => String.fromCharCode(...bytes.subarray(start, end)),
        ...ports,
      },
    )
    void this.server.start(this.datagrams)
  }

  passTime(ms: number): void {
    this.nowMs += ms
  }

  readonly datagrams: DatagramPort = {
    send: (payload, ip, port) => void this.sent.push({ to: `${ip}:${port}`, message: decodeRendezvous(payload) }),
  }

  /** A datagram, and the answers to it once the store has been asked. */
  async datagram(message: OutgoingRendezvousMessage, ip: string, port = 1000): Promise<RendezvousMessage[]> {
    const before = this.sent.length
    const bytes = encodeRendezvous(message)
    this.server.onDatagram(bytes, ip, port, this.datagrams)
    bytes.fill(0xff) // As the next datagram may do.
    await this.settled()
    return this.sent.slice(before).map(({ message: answer }) => answer)
  }

  async register(id: string, ip: string, { uuid = `uuid-${id}`, key = 1, port = 1000 } = {}) {
    const registerPk = { id, uuid: new TextEncoder().encode(uuid), pk: new Uint8Array(32).fill(key) }
    const [answer] = await this.datagram({ registerPk }, ip, port)
    return answer?.registerPkResponse?.result
  }

  async heartbeat(id: string, ip: string, port = 1000) {
    const [answer] = await this.datagram({ registerPeer: { id, serial: 3 } }, ip, port)
    return answer?.registerPeerResponse?.requestPk
  }

  /** A message on a connection, and what it was sent by then. */
  async message(connection: TestConnection, message: OutgoingRendezvousMessage): Promise<RendezvousMessage[]> {
    const before = connection.received.length
    this.server.onMessage(connection, encodeRendezvous(message))
    await this.settled()
    return connection.received.slice(before)
  }

  /** The same on a connection to the second port. */
  async secondPortMessage(connection: TestConnection, message: OutgoingRendezvousMessage): Promise<void> {
    this.server.onSecondPortMessage(connection, encodeRendezvous(message))
    await this.settled()
  }

  /** Promises that are settled by now have had their effect. */
  async settled(): Promise<void> {
    while (this.server.registrar.pending > 0) await Promise.resolve()
    for (let i = 0; i < 20; i++) await Promise.resolve()
  }
}
