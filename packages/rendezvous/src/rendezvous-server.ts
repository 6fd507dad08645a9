import {
  decodeRendezvous,
  type Endpoint,
  encodeRendezvous,
  type Heartbeat,
  ProtocolError,
  type RendezvousMessage,
  readHeartbeat,
  type rendezvous,
  type Signer,
} from '@tryst/protocol'
import { RelayChooser } from './choose-relay.ts'
import type { Cluster, DeviceAnswer, PushOutcome } from './cluster.ts'
import type { ClientConnection, Clock, DatagramPort } from './connection.ts'
import { runConsoleCommand } from './console.ts'
import { Counters, type DropReason } from './counters.ts'
import { datagramChannel } from './device-channel.ts'
import { DeviceRequests } from './device-requests.ts'
import type { RendezvousEvents } from './events.ts'
import { type HiddenSources, unreportedSources } from './hidden-sources.ts'
import type { HttpProxy } from './http-proxy.ts'
import type { IdentityStore } from './identity-store.ts'
import { Introducer } from './introducer.ts'
import { IpChanges } from './ip-changes.ts'
import { IssuedTickets } from './issued-tickets.ts'
import { LegacyUpdates } from './legacy-updates.ts'
import { onlineBitmap } from './online-query.ts'
import type { PeerId } from './peer-identity.ts'
import { PresenceTable } from './presence-table.ts'
import { ProxiedRequests } from './proxied-requests.ts'
import { PunchLog } from './punch-log.ts'
import { Registrar } from './registrar.ts'
import { RegistrationLimiter } from './registration-limits.ts'
import type { RelayDirectory } from './relay-directory.ts'
import type { RelayTickets } from './relay-tickets.ts'
import type { RendezvousSettings } from './settings.ts'
import { SignedIdentities } from './signed-identities.ts'
import type { RandomUint32 } from './waiting-initiators.ts'

/** What the core needs from the world. */
export interface RendezvousPorts {
import { UdpNatTest } from './udp-nat-test.ts'
  readonly identities: IdentityStore
  readonly cluster: Cluster
  readonly announcedRelays: RelayDirectory
  readonly tickets: RelayTickets
  /** Not there: this server has no API. */
  readonly httpProxy?: HttpProxy | undefined
  /** Undefined where the server has no secret key: nothing is signed. */
  readonly signer: Signer | undefined
  readonly events: RendezvousEvents
  /** Not there: nobody is told, and the machine's gateways are not known. */
  readonly sources?: HiddenSources | undefined
  readonly clock: Clock
  /** Not to be guessed: handles depend on it. */
  readonly random: RandomUint32
  /** Text of bytes that are all ASCII, quickly. */
  readonly asciiText: (bytes: Uint8Array, start: number, end: number) => string
}

/** Whether a message was one that a client sends here: a connection that sent one is not pushed out by strangers. */
export type Reception = 'valid' | 'invalid'

  /** Whether a TCP connection from this address is open here. Not there: none is known of. */
  readonly hasConnection?: (ip: string) => boolean
/** Rows of the presence table that one call of `sweep` looks at. */
const SWEEP_ROWS = 20_000

/**
 * The ID server without its sockets: takes what arrived and from where, answers through the connection or datagram port
 * that it is given (docs/protocol.md).
 */
export class RendezvousServer {
  readonly counters = new Counters()
  readonly presence: PresenceTable
  readonly relays: RelayChooser
  readonly introducer: Introducer
  readonly registrar: Registrar
  readonly legacy: LegacyUpdates
  readonly sources: HiddenSources
  readonly #proxied: ProxiedRequests
  readonly #tickets: IssuedTickets
  readonly #limiter: RegistrationLimiter
  readonly #ipChanges = new IpChanges()
  readonly #punchLog = new PunchLog()
  readonly #udpNatTest: UdpNatTest
  readonly #heartbeat: Heartbeat = { idStart: 0, idEnd: 0, serial: 0 }
  #datagrams: DatagramPort = { send() {} }

  constructor(
    settings: RendezvousSettings,
    private readonly ports: RendezvousPorts,
  ) {
    const { identities, cluster, events, clock, random, signer, announcedRelays } = ports
    const { counters } = this
    this.presence = new PresenceTable({ maxPeers: settings.maxDevices })
    this.relays = new RelayChooser(settings.relayServers, {
      directory: announcedRelays,
      fallback: settings.fallbackRelay,
      defaultPort: settings.relayPort,
      rules: settings.relayRules,
      random,
    })
    this.legacy = new LegacyUpdates(settings, { counters, events, clock })
    this.#proxied = new ProxiedRequests({
      ...{ proxy: ports.httpProxy, pathPrefix: settings.apiPathPrefix ?? '', counters, events },
    })
    const sources = ports.sources ?? unreportedSources()
    this.sources = sources
    this.#limiter = new RegistrationLimiter(settings.limits, (ip) => sources.isHidden(ip))
    const tickets = new IssuedTickets({ tickets: ports.tickets, clock, events })
    this.#tickets = tickets
    const { presence, relays } = this
    const signed = new SignedIdentities(signer, identities, cluster)
    const limits = settings.limits
    this.registrar = new Registrar({
      ...{ identities, cluster, presence, signed, limits, counters, events, clock },
      limiter: this.#limiter,
      ipChanges: this.#ipChanges,
    })
    const requests = new DeviceRequests({
      ...{ identities, cluster, presence, tickets, counters, events, clock },
      idMaxBytes: limits.idMaxBytes,
      pushLocally: (id, message) => places.push(id, message),
    })
    this.#udpNatTest = new UdpNatTest({
      ...{ cluster, presence, counters, clock },
      hasConnection: ports.hasConnection ?? (() => false),
    })
    this.introducer = new Introducer({
      ...{ settings, cluster, requests, signed, relays, tickets, counters, events, clock, random },
      punchLog: this.#punchLog,
    })
  }

  /** Starts to take part among the nodes; devices are reached through `datagrams`. */
  async start(datagrams: DatagramPort): Promise<void> {
    this.#datagrams = datagrams
    await this.ports.cluster.join({
      holds: (id) => {
        const here = this.presence.find(id, this.ports.clock())
        return here?.online ? here.ip : undefined
      },
      devices: () => this.presence.online(this.ports.clock),
      forget: (id) => void this.presence.remove(id),
      push: (id, message) => this.#push(id, message),
      answer: (answer) => this.introducer.deliverFromNode(answer, decodeRendezvous(answer.message)),
      ticketFor: (uuid) => this.#tickets.find(uuid),
    })
  }

  /** Devices that have not been heard of for too long fall silent; to be called a few times a second. */
  sweep(): void {
    const { cluster, clock, events } = this.ports
    this.sources.survey(this.presence, clock())
    this.presence.sweep(clock(), SWEEP_ROWS, (id) => {
      if (cluster.isAlone) return
      cluster.release(id).catch((error: unknown) => events.unavailable('presence', error))
    })
  }

  /** One datagram on the main port. Its bytes are read during the call only; what has to last is copied. */
  onDatagram(datagram: Uint8Array, ip: string, port: number, datagrams: DatagramPort): void {
    const heartbeat = this.#heartbeat
    if (readHeartbeat(datagram, heartbeat)) {
      if (this.ports.cluster.isCutOff) return this.#drop('cut_off')
      const id = this.ports.asciiText(datagram, heartbeat.idStart, heartbeat.idEnd) as PeerId
      this.registrar.heartbeat(id, ip, port, datagrams)
      if (this.legacy.serverList.isNewerThan(heartbeat.serial)) {
        this.legacy.onHeartbeat(heartbeat.serial, ip, port, datagrams)
      }
      return
    }
    if (datagram.length === 0) return
    const message = this.#decode(datagram)
    if (!message) return
    switch (message.union) {
      case 'registerPeer': {
        const { id, serial } = message.registerPeer
        if (id === '') return this.#drop('unexpected')
        if (this.ports.cluster.isCutOff) return this.#drop('cut_off')
        this.registrar.heartbeat(id as PeerId, ip, port, datagrams)
        return this.legacy.onHeartbeat(serial, ip, port, datagrams)
      }
      case 'registerPk':
        if (this.ports.cluster.isCutOff) return this.#drop('cut_off')
        this.registrar.register(message.registerPk, { ip, port }, datagramChannel(datagrams, ip, port))
        return
      case 'configureUpdate':
        return this.legacy.onConfigureUpdate(message.configureUpdate, ip)
      case 'softwareUpdate':
        return this.legacy.onSoftwareUpdate(message.softwareUpdate.url, ip, port, datagrams)
      default:
        return this.#drop('unexpected')
    }
  }

  /** One message on a connection to the main port or the WebSocket port; closes the connection where it has to end. */
  onMessage(connection: ClientConnection, payload: Uint8Array): Reception {
    const message = this.#decode(payload)
      case 'punchHoleSent': {
        // It may have to wait for a signature or another node: from a copy.
        const kept = Uint8Array.from(datagram)
        const own = this.#decode(kept)
        if (own?.punchHoleSent)
          this.introducer.deviceAnswered(datagramAnswer(own.punchHoleSent, kept, { ip, port }), own)
        return
      }
      case 'testNatRequest':
        return this.#udpNatTest.answer(ip, port, datagrams)
    switch (message?.union) {
      case 'punchHoleRequest':
        this.introducer.punch(connection, message.punchHoleRequest)
        return 'valid'
      case 'requestRelay':
        this.introducer.relay(connection, message.requestRelay)
        return 'valid'
      case 'punchHoleSent':
      case 'localAddr':
      case 'relayResponse':
        this.introducer.deviceAnswered(answerOf(message, payload, connection.remote), message)
        connection.close()
        return 'valid'
      case 'testNatRequest':
        this.#answerNatTest(connection, message.testNatRequest.serial)
        return 'valid'
      case 'onlineRequest':
        this.#answerOnlineQuery(connection, message.onlineRequest.peers)
        return 'valid'
      case 'httpProxyRequest':
        // Stock clients ask over encrypted connections only, and what they ask with can be a password.
        if (!connection.isEncrypted) return this.#end(connection)
        this.#proxied.take(connection, message.httpProxyRequest)
        return 'valid'
      case 'registerPk':
        this.counters.registrations.not_supported++
        connection.send(NOT_SUPPORTED)
        connection.close()
        return 'valid'
      default:
        if (message) return this.#end(connection)
        connection.close()
        return 'invalid'
    }
  }

  /** One message on a connection to the second port, which serves one message and no server list. */
  onSecondPortMessage(connection: ClientConnection, payload: Uint8Array): Reception {
    const message = this.#decode(payload)
    switch (message?.union) {
      case 'testNatRequest':
        this.#answerNatTest(connection, Number.POSITIVE_INFINITY)
        return 'valid'
      case 'onlineRequest':
        this.#answerOnlineQuery(connection, message.onlineRequest.peers)
        return 'valid'
      default:
        if (message) this.#drop('unexpected')
        connection.close()
        return 'invalid'
    }
  }

  /** The connection has ended: nobody waits on it any more. */
  onClose(connection: ClientConnection): void {
    this.introducer.waiting.drop(connection)
  }

  /** One line of the text console. @param replaceRelays looks names up and configures what it found */
  onConsoleCommand(line: string, replaceRelays: (relays: readonly string[]) => void): string {
    const subjects = {
      relays: this.relays,
      limiter: this.#limiter,
      ipChanges: this.#ipChanges,
      punchLog: this.#punchLog,
      introducer: this.introducer,
      replaceRelays,
    }
    return runConsoleCommand(line, subjects, this.ports.clock())
  }

  #push(id: PeerId, message: Uint8Array): PushOutcome {
    const here = this.presence.find(id, this.ports.clock())
    if (!here) return 'not-mine'
    if (!here.online) return 'silent'
    this.#datagrams.send(message, here.ip, here.port)
    return 'pushed'
  }

  #answerNatTest(connection: ClientConnection, serial: number): void {
    this.counters.natTests++
    const { port } = connection.remote
    const cu = this.legacy.configUpdate(serial)
    connection.send(encodeRendezvous({ testNatResponse: cu ? { port, cu } : { port } }))
    connection.close()
  }

  #answerOnlineQuery(connection: ClientConnection, peers: readonly string[]): void {
    const { cluster, clock, events } = this.ports
    this.counters.onlineQueries++
    const nowMs = clock()
    const online = peers.map((id) => this.presence.isOnline(id as PeerId, nowMs))
    const finish = () => {
      connection.send(encodeRendezvous({ onlineResponse: { states: onlineBitmap(online) } }))
      connection.close()
    }
    const elsewhere = cluster.isAlone ? [] : [...online.keys()].filter((i) => !online[i])
    if (elsewhere.length === 0) return finish()
    cluster
      .locate(elsewhere.map((i) => peers[i] as PeerId))
      .then((locations) => {
        for (const [k, i] of elsewhere.entries()) online[i] = locations[k] !== undefined
        finish()
      })
      .catch((error: unknown) => {
        // No answer leaves the client's list as it is; a wrong one would not.
        events.unavailable('request', error)
        connection.close()
      })
  }

  /** A message that nobody sends here. */
  #end(connection: ClientConnection): Reception {
    this.#drop('unexpected')
    connection.close()
    return 'invalid'
  }

  #decode(bytes: Uint8Array): RendezvousMessage | undefined {
    try {
      return decodeRendezvous(bytes)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#drop('malformed')
      return undefined
    }
  }

  #drop(reason: DropReason): void {
    this.counters.drops[reason]++
  }
}

/** RegisterPkResponse NOT_SUPPORT: devices register over UDP here. */
const NOT_SUPPORTED = encodeRendezvous({ registerPkResponse: { result: 6 } })

type AnswerMessage = Extract<RendezvousMessage, { union: 'punchHoleSent' | 'localAddr' | 'relayResponse' }>

const ANSWER_KINDS = {
  punchHoleSent: 'punch-hole-sent',
  localAddr: 'local-addr',
  relayResponse: 'relay-response',
} as const

function answerOf(message: AnswerMessage, payload: Uint8Array, from: Endpoint): DeviceAnswer {
  const { socketAddr, id } = message.punchHoleSent ?? message.localAddr ?? message.relayResponse
  return { kind: ANSWER_KINDS[message.union], handle: socketAddr, id: id ?? '', message: payload, from }
}

/** Over UDP only a device that was asked to punch by UDP answers. */
const datagramAnswer = (sent: rendezvous.PunchHoleSent, message: Uint8Array, from: Endpoint): DeviceAnswer => ({
  ...{ kind: 'udp-punch-hole-sent', handle: sent.socketAddr, id: sent.id, message, from },
})
