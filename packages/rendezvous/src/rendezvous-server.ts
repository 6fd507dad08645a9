import {
  decodeRendezvous,
  encodeRendezvous,
  type Heartbeat,
  ProtocolError,
  type RendezvousMessage,
  readHeartbeat,
  type rendezvous,
} from '@tryst/protocol'
import { answerOf, datagramAnswer } from './arrived-answer.ts'
import type { RelayChooser } from './choose-relay.ts'
import type { PushOutcome } from './cluster.ts'
import type { ClientConnection, DatagramPort } from './connection.ts'
import { runConsoleCommand } from './console.ts'
import type { Counters, DropReason } from './counters.ts'
import { connectionChannel, datagramChannel } from './device-channel.ts'
import type { DevicePlaces } from './device-places.ts'
import type { HiddenSources } from './hidden-sources.ts'
import type { Introducer } from './introducer.ts'
import type { KeptConnections } from './kept-connections.ts'
import type { LegacyUpdates } from './legacy-updates.ts'
import type { PeerId } from './peer-identity.ts'
import type { PresenceTable } from './presence-table.ts'
import type { Registrar } from './registrar.ts'
import { composeParts, type RendezvousParts } from './rendezvous-parts.ts'
import type { RendezvousPorts } from './rendezvous-ports.ts'
import type { RendezvousSettings } from './settings.ts'

/** Whether a message was one that a client sends here: a connection that sent one is not pushed out by strangers. */
export type Reception = 'valid' | 'invalid'

/**
 * The ID server without its sockets: takes what arrived and from where, answers through the connection or datagram port
 * that it is given (docs/protocol.md).
 */
export class RendezvousServer {
  readonly counters: Counters
  readonly presence: PresenceTable
  readonly kept: KeptConnections
  readonly relays: RelayChooser
  readonly introducer: Introducer
  readonly registrar: Registrar
  readonly legacy: LegacyUpdates
  readonly sources: HiddenSources
  readonly #parts: RendezvousParts
  readonly #places: DevicePlaces
  readonly #heartbeat: Heartbeat = { idStart: 0, idEnd: 0, serial: 0 }

  constructor(
    settings: RendezvousSettings,
    private readonly ports: RendezvousPorts,
  ) {
    this.#parts = composeParts(settings, ports, (from, to) => this.#idChanged(from, to))
    const { counters, presence, kept, relays, introducer, registrar, legacy, sources, places } = this.#parts
    this.counters = counters
    this.presence = presence
    this.kept = kept
    this.relays = relays
    this.introducer = introducer
    this.registrar = registrar
    this.legacy = legacy
    this.sources = sources
    this.#places = places
  }

  /** Starts to take part among the nodes; devices are reached through `datagrams`. */
  async start(datagrams: DatagramPort): Promise<void> {
    this.#places.start(datagrams)
    await this.ports.cluster.join({
      holds: (id) => this.#places.holds(id),
      devices: () => this.#places.online(),
      forget: (id) => {
        this.#parts.clones.takenElsewhere(id)
        this.#places.forget(id)
      },
      took: (id) => this.#parts.clones.tookFromElsewhere(id),
      push: (id, message, attempt) => this.#pushForOther(id, message, attempt),
      answer: (answer) => this.introducer.deliverFromNode(answer, decodeRendezvous(answer.message)),
      ticketFor: (uuid) => this.#parts.tickets.find(uuid),
      dismiss: (id) => this.dismiss(id),
      hasDeviceInNetwork: (ip) => this.presence.hasDeviceInNetwork(ip, this.ports.clock()),
    })
  }

  /** A device was removed, or given another id: it is not here any more, and registers anew where it may. */
  dismiss(id: PeerId): void {
    this.#parts.signed.forget(id)
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
        return this.#parts.udpNatTest.answer(ip, port, datagrams)
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
        this.#parts.proxied.take(connection, message.httpProxyRequest)
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
      limiter: this.#parts.limiter,
      ipChanges: this.#parts.ipChanges,
      punchLog: this.#parts.punchLog,
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
    void this.#parts.idChanger.change(message, connection.remote).then((result) => {
      connection.send(encodeRendezvous({ registerPkResponse: { result } }))
      this.#done(connection)
    })
  }

  /** One that keeps a connection tells its new id there; another one is nowhere until it registers. */
  #idChanged(from: PeerId, to: PeerId): void {
    const { cluster, events } = this.ports
    this.#parts.signed.forget(from)
    this.#parts.signed.forget(to)
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
    this.#parts.onlineAnswers.answer(connection, peers, () => this.#done(connection))
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
