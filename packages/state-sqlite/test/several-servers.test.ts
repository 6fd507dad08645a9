import { beforeEach, describe, expect, it } from '@jest/globals'
import {
  decodeRendezvous,
  type Endpoint,
  encodeRendezvous,
  type OutgoingRendezvousMessage,
  type RendezvousMessage,
  rendezvous,
} from '@tryst/protocol'
import {
  DEFAULT_REGISTRATION_LIMITS,
  type IdentityStore,
  noTickets,
  type PeerId,
  type RendezvousEvents,
  RendezvousServer,
} from '@tryst/rendezvous'
import { InProcessCluster, InProcessHub } from '../src/in-process-cluster.ts'
import { SqliteAccessStore } from '../src/sqlite-access-store.ts'
import { SqliteIdentityStore } from '../src/sqlite-identity-store.ts'

const ID = '123456789' as PeerId
const DEVICE = '203.0.113.9'
const CONTROLLER = { ip: '203.0.113.7', port: 50_000 }
const ask = { punchHoleRequest: { id: ID, natType: rendezvous.NatType.ASYMMETRIC, licenceKey: '' } }

const settings = {
  expectedKey: undefined,
  ...{ relayServers: ['relay.example:21117'], relayRules: [], fallbackRelay: '', relayPort: 21_117, lan: undefined },
  ...{ alwaysUseRelay: false, serial: 0, rendezvousServers: [], softwareUrl: '', maxDevices: 1_000 },
  limits: DEFAULT_REGISTRATION_LIMITS,
  ...{ keepAliveMs: 20_000, maxKeptDevices: 1_000 },
}

const ignore = () => undefined
const events: RendezvousEvents = {
  ...{ registered: ignore, uuidMismatch: ignore, identityContradicted: ignore, keyMismatch: ignore },
  ...{ notAdmitted: ignore, controlRefused: ignore },
  ...{ newKeyRefused: ignore, cloneFound: ignore, idChanged: ignore, idTakenBack: ignore, idChangeRefused: ignore },
  ...{ ipChanged: ignore, serverListUpdated: ignore, limitHit: ignore, unavailable: ignore },
}

class Connection {
  readonly transport = 'tcp'
  readonly received: RendezvousMessage[] = []
  readonly unsentBytes = 0
  isClosed = false

  constructor(readonly remote: Endpoint) {}

  send(payload: Uint8Array): void {
    this.received.push(decodeRendezvous(payload))
  }

  keep(): void {}

  close(): void {
    this.isClosed = true
  }

  destroy(): void {
    this.isClosed = true
  }
}

/** One of several servers, with what it sends to devices. */
class Node {
  readonly sent: RendezvousMessage[] = []
  readonly server: RendezvousServer
  readonly #datagrams = { send: (payload: Uint8Array) => void this.sent.push(decodeRendezvous(payload)) }

  constructor(hub: InProcessHub, identities: IdentityStore) {
    this.server = new RendezvousServer(settings, {
      access: new SqliteAccessStore(':memory:'),
      ...{ identities, events, tickets: noTickets, signer: undefined, clock: Date.now },
      cluster: new InProcessCluster(hub),
      announcedRelays: { live: () => [], isFresh: true },
      random: () => Math.floor(Math.random() * 2 ** 32),
      asciiText: (bytes, start, end) => Buffer.from(bytes).toString('latin1', start, end),
    })
  }

  async start(): Promise<void> {
    await this.server.start(this.#datagrams)
  }

  async datagram(message: OutgoingRendezvousMessage): Promise<RendezvousMessage | undefined> {
    this.server.onDatagram(Buffer.from(encodeRendezvous(message)), DEVICE, 7000, this.#datagrams)
    await settled()
    return this.sent.at(-1)
  }

  async register(): Promise<number | undefined> {
    const registerPk = { id: ID, uuid: new Uint8Array(36).fill(1), pk: new Uint8Array(32).fill(1) }
    return (await this.datagram({ registerPk }))?.registerPkResponse?.result
  }

  async message(connection: Connection, message: OutgoingRendezvousMessage): Promise<void> {
    this.server.onMessage(connection, encodeRendezvous(message))
    await settled()
  }
}

/** Everything that was begun in this process has come to an end. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
}

describe('three servers with one store', () => {
  let one: Node
  let two: Node
  let three: Node

  beforeEach(async () => {
    const hub = new InProcessHub()
    const identities = new SqliteIdentityStore({ path: ':memory:' })
    one = new Node(hub, identities)
    two = new Node(hub, identities)
    three = new Node(hub, identities)
    for (const node of [one, two, three]) await node.start()
    expect(await one.register()).toBe(rendezvous.RegisterPkResponse.Result.OK)
  })

  it('bring a controller on the second and a device on the first together, by way of an answer to the third', async () => {
    const a = new Connection(CONTROLLER)
    await two.message(a, ask)
    const handle = one.sent.at(-1)?.punchHole?.socketAddr ?? new Uint8Array()
    expect(handle).not.toHaveLength(0)
    const answer = new Connection({ ip: DEVICE, port: 6000 })
    await three.message(answer, { punchHoleSent: { socketAddr: handle, id: ID, version: '1.4.9' } })
    expect(a.received[0]?.punchHoleResponse?.socketAddr).not.toHaveLength(0)
    expect(three.server.counters.answers.delivered).toBe(1)
  })

  it('know a device that has moved at its new place only, and take its heartbeats there', async () => {
    expect(await two.datagram({ registerPeer: { id: ID, serial: 3 } })).toMatchObject({
      registerPeerResponse: { requestPk: true },
    })
    await two.register()
    expect(one.server.presence.size).toBe(0)
    const a = new Connection(CONTROLLER)
    await one.message(a, ask)
    expect(two.sent.at(-1)?.punchHole).toBeDefined()
    expect(a.received).toEqual([])
  })

  it('tell who is online, wherever that is', async () => {
    const a = new Connection(CONTROLLER)
    await three.message(a, { onlineRequest: { id: '', peers: ['nobody', ID] } })
    expect(a.received[0]?.onlineResponse?.states).toEqual(Uint8Array.of(0x40))
  })
})
