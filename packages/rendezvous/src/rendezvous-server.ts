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
import { Admissions } from './admissions.ts'
import type { AttemptRecorder } from './attempt-recorder.ts'
import { RelayChooser } from './choose-relay.ts'
import { Clones } from './clones.ts'
import type { Cluster, DeviceAnswer, PushOutcome } from './cluster.ts'
import type { ClientConnection, Clock, DatagramPort } from './connection.ts'
import { runConsoleCommand } from './console.ts'
import type { ControlAccounts } from './control-access.ts'
import { ControlGate } from './control-gate.ts'
import { Counters, type DropReason } from './counters.ts'
import type { AccessStore } from './device-access.ts'
import { connectionChannel, datagramChannel } from './device-channel.ts'
import { DevicePlaces } from './device-places.ts'
import { DeviceRequests } from './device-requests.ts'
import type { RendezvousEvents } from './events.ts'
import { HeldIds } from './held-ids.ts'
import { type HiddenSources, unreportedSources } from './hidden-sources.ts'
import type { HttpProxy } from './http-proxy.ts'
import { IdChanger } from './id-changer.ts'
import type { IdentityStore } from './identity-store.ts'
import { Introducer } from './introducer.ts'
import { IpChanges } from './ip-changes.ts'
import { IssuedTickets } from './issued-tickets.ts'
import { KeptConnections } from './kept-connections.ts'
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
import { DEFAULT_OLD_ID_HOLD_MS, type RendezvousSettings } from './settings.ts'
import { SignedIdentities } from './signed-identities.ts'
import { UdpNatTest } from './udp-nat-test.ts'
import type { RandomUint32 } from './waiting-initiators.ts'

/** What the core needs from the world. */
export interface RendezvousPorts {
  readonly access: AccessStore
  /** Not there: nobody has an account. */
  readonly accounts?: ControlAccounts | undefined
  readonly identities: IdentityStore
  readonly cluster: Cluster
  readonly announcedRelays: RelayDirectory
  readonly tickets: RelayTickets
  /** Not there: attempts are not recorded, and refusals name no code. */
  readonly attempts?: AttemptRecorder | undefined
  /** Not there: this server has no API. */
  readonly httpProxy?: HttpProxy | undefined
  /** Undefined where the server has no secret key: nothing is signed. */
  readonly signer: Signer | undefined
  readonly events: RendezvousEvents
  /** A device is reached over this connection from now on: it is pushed out by nobody. */
  readonly onKept?: ((connection: ClientConnection) => void) | undefined
  /** Not there: nobody is told, and the machine's gateways are not known. */
  readonly sources?: HiddenSources | undefined
  readonly clock: Clock
  /** Not to be guessed: handles depend on it. */
  readonly random: RandomUint32
  /** Whether a TCP connection from this address is open here. Not there: none is known of. */
  readonly hasConnection?: (ip: string) => boolean
  /** Text of bytes that are all ASCII, quickly. */
  readonly asciiText: (bytes: Uint8Array, start: number, end: number) => string
}

/** Whether a message was one that a client sends here: a connection that sent one is not pushed out by strangers. */
export type Reception = 'valid' | 'invalid'

/**
 * The ID server without its sockets: takes what arrived and from where, answers through the connection or datagram port
 * that it is given (docs/protocol.md).
 */
export class RendezvousServer {
  readonly counters = new Counters()
  readonly presence: PresenceTable
  readonly kept: KeptConnections
  readonly relays: RelayChooser
  readonly introducer: Introducer
  readonly registrar: Registrar
  readonly legacy: LegacyUpdates
  readonly sources: HiddenSources
  readonly #udpNatTest: UdpNatTest
  readonly #signed: SignedIdentities
  readonly #gate: ControlGate
  readonly #proxied: ProxiedRequests
  readonly #tickets: IssuedTickets
  readonly #limiter: RegistrationLimiter
  readonly #ipChanges = new IpChanges()
  readonly #punchLog = new PunchLog()
  readonly #heartbeat: Heartbeat = { idStart: 0, idEnd: 0, serial: 0 }
  readonly #places: DevicePlaces
  readonly #idChanger: IdChanger
  readonly #clones: Clones

  constructor(
    settings: RendezvousSettings,
    private readonly ports: RendezvousPorts,
  ) {
    const { identities, cluster, events, clock, random, signer, announcedRelays } = ports
    const { counters } = this
    const rule = settings.allowControl ?? 'anyone'
    this.presence = new PresenceTable({
      maxPeers: settings.maxDevices,
      sources: rule === 'registered' ? 'indexed' : 'plain',
    })
    this.#gate = new ControlGate({ rule, accounts: ports.accounts, presence: this.presence, cluster, clock })
    this.kept = new KeptConnections(settings.keepAliveMs)
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
    const { presence, kept, relays } = this
    const signed = new SignedIdentities(signer, identities, cluster)
    this.#signed = signed
    const { limits, keepAliveMs, maxKeptDevices } = settings
    const onKept = ports.onKept ?? (() => undefined)
    const places = new DevicePlaces({ presence, kept, cluster, events, clock, maxKeptDevices, onKept })
    this.#places = places
    const admissions = new Admissions({
      ...{ mode: settings.accessMode ?? 'open', access: ports.access, clock, events },
    })
    const holdMs = settings.oldIdHoldMs ?? DEFAULT_OLD_ID_HOLD_MS
    const isOnline = (id: PeerId) => places.isOnlineAnywhere(id)
    const clones = new Clones({
      ...{ heal: settings.healClones ?? false, presence, counters, events, clock },
      ipElsewhere: (id) => places.ipElsewhere(id),
    })
    this.#clones = clones
    const heldIds = new HeldIds({ identities, admissions, events, holdMs, isOnline })
    this.#idChanger = new IdChanger({
      ...{ mode: settings.idChanges ?? 'on', holdMs, identities, admissions, limits, counters, events, clock },
      limiter: this.#limiter,
      isHidden: (ip) => sources.isHidden(ip),
      onChanged: (from, to) => this.#idChanged(from, to),
    })
    this.registrar = new Registrar({
      ...{ admissions, heldIds, clones },
      ...{ identities, presence, places, signed, limits, keepAliveMs, counters, events, clock },
      limiter: this.#limiter,
      ipChanges: this.#ipChanges,
    })
    const requests = new DeviceRequests({
      ...{ identities, cluster, presence, tickets, counters, events, clock },
      idMaxBytes: limits.idMaxBytes,
      places,
      attempts: ports.attempts,
    })
    this.#udpNatTest = new UdpNatTest({
      ...{ cluster, presence, counters, clock },
      hasConnection: ports.hasConnection ?? (() => false),
    })
    this.introducer = new Introducer({
      ...{ settings, cluster, requests, signed, relays, tickets, counters, events, clock, random },
      gate: this.#gate,
      isHidden: (ip) => sources.isHidden(ip),
      punchLog: this.#punchLog,
      attempts: ports.attempts,
    })
  }

  /** Starts to take part among the nodes; devices are reached through `datagrams`. */
  async start(datagrams: DatagramPort): Promise<void> {
    this.#places.start(datagrams)
    await this.ports.cluster.join({
      holds: (id) => this.#places.holds(id),
      devices: () => this.#places.online(),
      forget: (id) => {
        this.#clones.takenElsewhere(id)
        this.#places.forget(id)
      },
      took: (id) => this.#clones.tookFromElsewhere(id),
      push: (id, message, attempt) => this.#pushForOther(id, message, attempt),
      answer: (answer) => this.introducer.deliverFromNode(answer, decodeRendezvous(answer.message)),
      ticketFor: (uuid) => this.#tickets.find(uuid),
      dismiss: (id) => this.dismiss(id),
      hasDeviceInNetwork: (ip) => this.presence.hasDeviceInNetwork(ip, this.ports.clock()),
    })
  }

  /** A device was removed, or given another id: it is not here any more, and registers anew where it may. */
  dismiss(id: PeerId): void {
    this.#signed.forget(id)
    this.#places.dismiss(id)
  }

  /**
   * Devices that have not been heard of for too long fall silent, clients that keep a connection open hear from this
   * server; to be called a few times a second.
   */
  sweep(): void {
    this.sources.survey(this.presence, this.ports.clock())
    this.#places.sweep()
  }

  /**
   * Takes no new requests and holds no devices from now on: they turn to another node. Whoever waits here still gets what
   * devices answer. Settles when the other nodes know.
   */
  retire(): Promise<void> {
    this.introducer.drain()
    return this.#places.retire()
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
        this.counters.registering.udp++
        this.registrar.register(message.registerPk, { ip, port }, datagramChannel(datagrams, ip, port))
        return
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
    const kept = this.kept.heard(connection)
    if (kept && payload.length === 0) return kept.id === undefined ? 'invalid' : 'valid'
    const message = this.#decode(payload)
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
        this.#done(connection)
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
        return this.#register(connection, message.registerPk)
      case 'hc':
        // Only clients that are signed in send it, and nothing is lost with it: it never crowds out others.
        if (message.hc.token === '') return this.#end(connection)
        this.kept.keepForSession(connection)
        return 'invalid'
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

  /** The connection has ended: nobody waits on it any more, and the device that was reached over it is gone. */
  onClose(connection: ClientConnection): void {
    this.introducer.waiting.drop(connection)
    this.ports.attempts?.closed(connection)
    this.#places.closed(connection)
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

  /** A controller on another node asks for a device here. */
  #pushForOther(id: PeerId, message: Uint8Array, attempt: number | undefined): PushOutcome {
    const pushed = this.#places.push(id, message)
    if (attempt !== undefined) {
      const via = this.#places.viaOf(id) ?? 'udp'
      const at = this.presence.find(id, this.ports.clock())
      this.ports.attempts?.passedOn(attempt, id, { what: pushed, via, from: at })
    }
    return pushed
  }

  /** RegisterPk over a connection, which stays open: the device is online as long as it does. */
  #register(connection: ClientConnection, message: rendezvous.RegisterPk): Reception {
    // The client begins anew, and finds another node or this one after its restart.
    if (this.ports.cluster.isCutOff || this.introducer.isDraining) {
      this.#drop('cut_off')
      connection.close()
      return 'invalid'
    }
    if (message.oldId !== '') {
      this.#changeId(connection, message)
      return 'valid'
    }
    this.kept.keep(connection)
    this.counters.registering[connection.transport]++
    this.registrar.register(message, connection.remote, connectionChannel(connection))
    return 'invalid'
  }

  #changeId(connection: ClientConnection, message: rendezvous.RegisterPk): void {
    void this.#idChanger.change(message, connection.remote).then((result) => {
      connection.send(encodeRendezvous({ registerPkResponse: { result } }))
      this.#done(connection)
    })
  }

  /** One that keeps a connection tells its new id there; another one is nowhere until it registers. */
  #idChanged(from: PeerId, to: PeerId): void {
    const { cluster, events } = this.ports
    this.#signed.forget(from)
    this.#signed.forget(to)
    if (this.kept.of(from)) return
    this.dismiss(from)
    if (cluster.isAlone) return
    cluster.dismiss(from).catch((error: unknown) => events.unavailable('presence', error))
  }

  /** Nothing else is expected on the connection, unless it is kept for something else. */
  #done(connection: ClientConnection): void {
    if (!this.kept.find(connection)) connection.close()
  }

  #answerNatTest(connection: ClientConnection, serial: number): void {
    this.counters.natTests++
    const { port } = connection.remote
    const cu = this.legacy.configUpdate(serial)
    connection.send(encodeRendezvous({ testNatResponse: cu ? { port, cu } : { port } }))
    this.#done(connection)
  }

  #answerOnlineQuery(connection: ClientConnection, peers: readonly string[]): void {
    this.counters.onlineQueries++
    if (this.#gate.isOpen) return this.#tellOnline(connection, peers)
    this.#gate
      .decide({ initiator: connection, token: '' })
      // Whoever may not ask for devices is not told which are there.
      .then((decision) => {
        if (decision === 'allowed') this.#tellOnline(connection, peers)
        else this.#sendOnline(connection, new Array<boolean>(peers.length).fill(false))
      })
      .catch((error: unknown) => {
        this.ports.events.unavailable('request', error)
        connection.close()
      })
  }

  #tellOnline(connection: ClientConnection, peers: readonly string[]): void {
    const { cluster, clock, events } = this.ports
    const nowMs = clock()
    const online = peers.map((id) => this.presence.isOnline(id as PeerId, nowMs))
    const finish = () => this.#sendOnline(connection, online)
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

  #sendOnline(connection: ClientConnection, online: readonly boolean[]): void {
    connection.send(encodeRendezvous({ onlineResponse: { states: onlineBitmap(online) } }))
    this.#done(connection)
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
