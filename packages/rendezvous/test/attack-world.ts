import {
  type Endpoint,
  mangleAddress,
  type OutgoingRendezvousMessage,
  type RendezvousMessage,
  rendezvous,
  unmangleAddress,
} from '@tryst/protocol'
import type { LocalNode } from '../src/cluster.ts'
import type { ClientConnection } from '../src/connection.ts'
import type { NodeId, PeerId } from '../src/peer-identity.ts'
import type { RendezvousPorts } from '../src/rendezvous-ports.ts'
import type { RendezvousSettings } from '../src/settings.ts'
import { PairCluster } from './pair-cluster.ts'
import { TestBench, TestConnection } from './test-bench.ts'
import { TestTickets } from './test-cluster.ts'

export const FAMILIES = ['IPv4', 'IPv6'] as const
export type Family = (typeof FAMILIES)[number]
export const ASKS = ['punch', 'punch by UDP', 'punch towards a relay', 'local address', 'relay'] as const
export type AskName = (typeof ASKS)[number]
export const CARRIERS = ['tcp', 'websocket', 'udp'] as const
export type Carrier = (typeof CARRIERS)[number]
export type AnswerKind = 'punchHoleSent' | 'localAddr' | 'relayResponse'

export const TARGET = '123456789' as PeerId
/** A device that the attacker has registered itself. */
export const OWN_DEVICE = '666666666' as PeerId
export const ATTACKER: Readonly<Record<Family, string>> = { IPv4: '198.51.100.66', IPv6: '2001:db8:66::66' }
export const HOME: Readonly<Record<Family, string>> = { IPv4: '203.0.113.7', IPv6: '2001:db8:7::7' }
const ABROAD: Readonly<Record<Family, string>> = { IPv4: '192.0.2.10', IPv6: '2001:db8:10::10' }
const { ASYMMETRIC, SYMMETRIC } = rendezvous.NatType

/** What a device answers truly to each ask. */
export const TRUE_ANSWER: Readonly<Record<AskName, AnswerKind>> = {
  punch: 'punchHoleSent',
  'punch by UDP': 'punchHoleSent',
  'punch towards a relay': 'relayResponse',
  'local address': 'localAddr',
  relay: 'relayResponse',
}

/** A controller that waits for the target, and the handle that the target got. */
export interface Waiting {
  readonly ask: AskName
  readonly family: Family
  readonly connection: TestConnection
  readonly handle: Uint8Array
}

/** One or two nodes with a device that is to be attacked and one of the attacker's own, both heard by the first node. */
export class World {
  readonly tickets = new TestTickets()
  readonly benches: readonly TestBench[]
  /** What the nodes answer one another; only where there are two. */
  readonly known = new Map<NodeId, LocalNode>()

  private constructor(
    readonly nodes: 1 | 2,
    settings: Partial<RendezvousSettings>,
    ports: Partial<RendezvousPorts>,
  ) {
    const { known } = this
    this.tickets.writing = undefined
    const open = (name: string, shared: Partial<RendezvousPorts>) =>
      new TestBench(settings, {
        ...{ tickets: this.tickets, ...shared, ...ports },
        ...(nodes === 1 ? {} : { cluster: new PairCluster(name, known) }),
      })
    const first = open('first', {})
    this.benches =
      nodes === 1 ? [first] : [first, open('second', { identities: first.identities, access: first.access })]
  }

  static async open({
    nodes = 1,
    family = 'IPv4',
    settings = {},
    ports = {},
  }: {
    nodes?: 1 | 2
    family?: Family
    settings?: Partial<RendezvousSettings>
    ports?: Partial<RendezvousPorts>
  } = {}): Promise<World> {
    const world = new World(nodes, settings, ports)
    await world.first.register(TARGET, HOME[family], { port: 5_000 })
    await world.first.register(OWN_DEVICE, ATTACKER[family], { port: 6_000 })
    for (const bench of world.benches) bench.sent.length = 0
    return world
  }

  get first(): TestBench {
    return this.benches[0] as TestBench
  }

  /** The node that attacks arrive at: another one than that of the controller, where there are two. */
  get last(): TestBench {
    return this.benches.at(-1) as TestBench
  }

  passTime(ms: number): void {
    for (const bench of this.benches) bench.passTime(ms)
  }

  async settled(): Promise<void> {
    for (let round = 0; round < 3; round++) for (const bench of this.benches) await bench.settled()
  }

  /** A controller asks for a device. */
  async wait(ask: AskName, family: Family, { id = TARGET, port = 4_000, ip = '' } = {}): Promise<Waiting> {
    const from = ip || (ask === 'local address' ? HOME[family] : ABROAD[family])
    const connection = new TestConnection({ ip: from, port })
    const request: OutgoingRendezvousMessage =
      ask === 'relay'
        ? { requestRelay: { id, uuid: `uuid-of-${id}-${port}`, relayServer: 'relay.example' } }
        : {
            punchHoleRequest: {
              ...{ id, licenceKey: 'KEY', natType: ask === 'punch towards a relay' ? SYMMETRIC : ASYMMETRIC },
              ...(ask === 'punch by UDP' ? { udpPort: 4_001 } : {}),
            },
          }
    const before = this.first.sent.length
    await this.first.message(connection, request)
    await this.settled()
    const pushed = this.first.sent.slice(before).at(-1)?.message
    const push = pushed?.punchHole ?? pushed?.fetchLocalAddr ?? pushed?.requestRelay
    if (!push) throw new Error(`${id} was not asked: ${ask} over ${family}`)
    return { ask, family, connection, handle: Uint8Array.from(push.socketAddr) }
  }

  /** An answer arrives, from whomever. @returns the connection that it came over */
  async answer(
    bench: TestBench,
    carrier: Carrier,
    message: OutgoingRendezvousMessage,
    from: Endpoint,
  ): Promise<TestConnection> {
    const connection = new TestConnection(from, carrier === 'websocket' ? 'websocket' : 'tcp')
    if (carrier === 'udp') await bench.datagram(message, from.ip, from.port)
    else await bench.message(connection, message)
    await this.settled()
    return connection
  }

  /** What the target would answer; arrives at the node of the controller. */
  async answerTruly({ ask, family, handle }: Waiting): Promise<void> {
    const carrier = ask === 'punch by UDP' ? 'udp' : 'tcp'
    const message = answerMessage(TRUE_ANSWER[ask], handle, TARGET)
    await this.answer(this.first, carrier, message, { ip: HOME[family], port: 5_555 })
  }

  /** Everything that an attack must leave as it is. */
  snapshot() {
    const { identities, access } = this.first
    return {
      identities: [...identities.rows.values()].map(({ id, uuid, publicKey, ip }) => [
        id,
        [...uuid],
        [...publicKey],
        ip,
      ]),
      listed: [...access.devices.values()],
      invites: [...access.invited.keys()],
      tokens: [...access.deployTokens.values()],
      tickets: [...this.tickets.issued],
      places: this.benches.map(({ server, nowMs }) =>
        [TARGET, OWN_DEVICE].map((id) => {
          const here = server.presence.find(id, nowMs)
          return here && [here.ip, here.port, here.online]
        }),
      ),
      devices: this.benches.map(({ server }) => server.presence.size),
    }
  }

  /** Datagrams that left for anybody but the attacker. */
  sentToOthers(): { to: string; message: RendezvousMessage }[] {
    const own = Object.values(ATTACKER)
    return this.benches.flatMap(({ sent }) => sent).filter(({ to }) => !own.some((ip) => to.startsWith(`${ip}:`)))
  }
}

/** What a device would send, or somebody in its name. */
export function answerMessage(kind: AnswerKind, socketAddr: Uint8Array, id: string): OutgoingRendezvousMessage {
  const common = { socketAddr, id, relayServer: 'evil.example:1', version: '1.4.9' }
  switch (kind) {
    case 'punchHoleSent':
      return { punchHoleSent: { ...common, natType: ASYMMETRIC } }
    case 'localAddr': {
      // Devices encode the address anew.
      const { ip, port } = unmangleAddress(socketAddr)
      const anew = socketAddr.length === 0 || socketAddr.length > 18 ? socketAddr : mangleAddress({ ip, port }, 99)
      return { localAddr: { ...common, socketAddr: anew, localAddr: mangleAddress({ ip: '10.0.0.66', port: 66 }, 1) } }
    }
    default:
      return { relayResponse: { ...common, uuid: 'forged-uuid' } }
  }
}

export const isFor = (connection: ClientConnection) => connection.remote.ip
