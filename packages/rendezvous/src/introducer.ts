import {
  encodeRendezvous,
  forwarded,
  type OutgoingRendezvousMessage,
  type RendezvousMessage,
  rendezvous,
} from '@tryst/protocol'
import type { RelayChooser } from './choose-relay.ts'
import { withPort } from './choose-relay.ts'
import type { Cluster, DeviceAnswer, PushOutcome } from './cluster.ts'
import type { ClientConnection, Clock } from './connection.ts'
import type { Counters, RequestOutcome } from './counters.ts'
import { localAddressAnswer, punchHoleAnswer, relayAnswer, relayForInitiator } from './device-answer.ts'
import type { RendezvousEvents } from './events.ts'
import { type IdentityStore, StoreUnavailableError } from './identity-store.ts'
import { isExpectedKey, keyMismatchText } from './key-check.ts'
import { lanMatcher } from './lan.ts'
import type { PeerId } from './peer-identity.ts'
import type { PresenceTable } from './presence-table.ts'
import { decidePunchHole } from './punch-hole.ts'
import type { PunchLog } from './punch-log.ts'
import type { RendezvousSettings } from './settings.ts'
import type { SignedIdentities } from './signed-identities.ts'
import { type AskKind, type RandomUint32, WaitingInitiators } from './waiting-initiators.ts'

const { Failure } = rendezvous.PunchHoleResponse

/** A request that is handed on to a device over UDP; the largest that stock clients send is far below. */
const MAX_FORWARDED_BYTES = 1_400

export interface IntroducerParts {
  readonly settings: RendezvousSettings
  readonly identities: IdentityStore
  readonly cluster: Cluster
  readonly presence: PresenceTable
  readonly signed: SignedIdentities
  readonly relays: RelayChooser
  readonly punchLog: PunchLog
  readonly counters: Counters
  readonly events: RendezvousEvents
  readonly clock: Clock
  readonly random: RandomUint32
  /** Sends to a device that this node holds. */
  readonly pushLocally: (id: PeerId, message: Uint8Array) => PushOutcome
}

/** Where a device was found. */
interface Found {
  readonly ip: string
  push(message: Uint8Array): PushOutcome | Promise<PushOutcome>
}

type Refusal = 'unknown_id' | 'offline'

/** Brings controllers and devices together: punches, relays, and devices' answers (docs/protocol.md, introduction). */
export class Introducer {
  readonly waiting: WaitingInitiators
  /** Switched by the console. */
  alwaysUseRelay: boolean
  #draining = false
  readonly #isLan: (ip: string) => boolean
  readonly #lanRelay: string | undefined

  constructor(private readonly parts: IntroducerParts) {
    const { settings, random } = parts
    this.waiting = new WaitingInitiators(random)
    this.alwaysUseRelay = settings.alwaysUseRelay
    this.#isLan = lanMatcher(settings.lan?.cidr)
    this.#lanRelay = settings.lan && withPort(settings.lan.localIp, settings.relayPort)
  }

  /** Takes no new requests; answers to those that wait still come through. */
  drain(): void {
    this.#draining = true
  }

  /** PunchHoleRequest of a controller. */
  punch(initiator: ClientConnection, request: rendezvous.PunchHoleRequest): void {
    const { settings, counters, events } = this.parts
    // The client asks again on a new connection, and finds another node or this one after its restart.
    if (this.#draining) return initiator.close()
    if (!isExpectedKey(settings.expectedKey, request.licenceKey)) {
      counters.requests.key_mismatch++
      events.keyMismatch(request.id, initiator.remote)
      const otherFailure = keyMismatchText(settings.expectedKey ?? '')
      return send(initiator, { punchHoleResponse: { failure: Failure.LICENSE_MISMATCH, otherFailure } })
    }
    const id = request.id as PeerId
    const refuse = (refusal: Refusal) => {
      counters.requests[refusal]++
      const failure = refusal === 'offline' ? Failure.OFFLINE : Failure.ID_NOT_EXIST
      send(initiator, { punchHoleResponse: { failure } })
    }
    this.#withDevice(id, refuse, (found) => this.#punchFound(initiator, id, request.natType, found, refuse))
  }

  #punchFound(
    initiator: ClientConnection,
    id: PeerId,
    natType: number,
    found: Found,
    refuse: (refusal: Refusal) => void,
  ): void {
    const { relays, punchLog, clock } = this.parts
    const { remote, transport } = initiator
    punchLog.add(remote, id, found.ip, clock())
    const decision = decidePunchHole({
      initiator: { ip: remote.ip, transport, isLan: this.#isLan(remote.ip) },
      device: { ip: found.ip, isLan: this.#isLan(found.ip) },
      natType,
      alwaysUseRelay: this.alwaysUseRelay,
      relay: relays.next(),
      lanRelay: this.#lanRelay ?? '',
    })
    const kind = decision.ask === 'punch' ? 'punch' : 'local-address'
    const handle = this.#ask(initiator, id, kind, decision.needsTruePort, found.ip)
    const relayServer = decision.relay
    const message: OutgoingRendezvousMessage =
      kind === 'punch'
        ? { punchHole: { socketAddr: handle, relayServer, natType: decision.natType } }
        : { fetchLocalAddr: { socketAddr: handle, relayServer } }
    this.#push(found, message, kind === 'punch' ? 'punch' : 'local_address', refuse)
  }

  /** RequestRelay of a controller; refused in words at once where the reference would let it wait for 18 s. */
  relay(initiator: ClientConnection, request: rendezvous.RequestRelay): void {
    const { settings, counters, events } = this.parts
    if (this.#draining) return initiator.close()
    const say = (outcome: RequestOutcome, refuseReason: string) => {
      counters.requests[outcome]++
      send(initiator, { relayResponse: { refuseReason } })
    }
    // Clients name the key only towards the relay; one that is named here has to be right.
    if (request.licenceKey !== '' && !isExpectedKey(settings.expectedKey, request.licenceKey)) {
      events.keyMismatch(request.id, initiator.remote)
      return say('key_mismatch', keyMismatchText(settings.expectedKey ?? ''))
    }
    const id = request.id as PeerId
    const refuse = (refusal: Refusal) =>
      refusal === 'offline' ? say(refusal, 'Remote desktop is offline') : say(refusal, 'ID does not exist')
    this.#withDevice(id, refuse, (found) => {
      const handle = this.#ask(initiator, id, 'relay', false, found.ip)
      const message = { requestRelay: forwarded(request, { socketAddr: handle }) }
      if (encodeRendezvous(message).length > MAX_FORWARDED_BYTES) return say('too_long', 'The request is too long')
      this.#push(found, message, 'relay', refuse)
    })
  }

  /** An answer that a device sent to this node: for an initiator here, else for one on another node. */
  deviceAnswered(answer: DeviceAnswer, message: RendezvousMessage): void {
    const { cluster, counters, events } = this.parts
    if (this.#deliver(answer, message)) return
    if (cluster.isAlone) {
      counters.answers.nobody_waits++
      return
    }
    cluster
      .answer(answer)
      .then((taken) => {
        counters.answers[taken ? 'delivered' : 'nobody_waits']++
      })
      .catch((error: unknown) => events.unavailable('answer', error))
  }

  /** Hands an answer to the initiator that waits for it on this node. False when none does. */
  #deliver(answer: DeviceAnswer, message: RendezvousMessage): boolean {
    const ask = this.waiting.match(answer)
    if (!ask) return false
    this.parts.counters.answers.delivered++
    const { signed, events } = this.parts
    const deliver = (signedIdentity: Uint8Array) => {
      const outgoing = this.#outgoingAnswer(answer, message, signedIdentity, ask.initiator)
      if (outgoing) send(ask.initiator, outgoing)
    }
    const atHand = signed.peek(ask.id)
    if (atHand) deliver(atHand)
    else signed.find(ask.id).then(deliver, (error: unknown) => events.unavailable('answer', error))
    return true
  }

  /** The same for an answer that arrived at another node. */
  async deliverFromNode(answer: DeviceAnswer, message: RendezvousMessage): Promise<boolean> {
    return this.#deliver(answer, message)
  }

  #outgoingAnswer(
    { from }: DeviceAnswer,
    message: RendezvousMessage,
    signedIdentity: Uint8Array,
    initiator: ClientConnection,
  ): OutgoingRendezvousMessage | undefined {
    const facts = { signedIdentity, from, tm: this.parts.random() }
    if (message.punchHoleSent) return punchHoleAnswer(message.punchHoleSent, facts)
    if (message.localAddr) return localAddressAnswer(message.localAddr, facts)
    if (!message.relayResponse) return undefined
    const relay = relayForInitiator(message.relayResponse.relayServer, {
      initiatorIsLan: this.#isLan(initiator.remote.ip),
      lanRelay: this.#lanRelay,
      nextRelay: () => this.parts.relays.next(),
    })
    return relayAnswer(message.relayResponse, signedIdentity, relay)
  }

  /** Finds a device; one that this node hears is found without waiting for anything. */
  #withDevice(id: PeerId, refuse: (refusal: Refusal) => void, use: (found: Found) => void): void {
    const { presence, clock, events, counters, pushLocally } = this.parts
    const here = presence.find(id, clock())
    if (here?.online) return use({ ip: here.ip, push: (message) => pushLocally(id, message) })
    this.#findElsewhere(id)
      .then((found) => (typeof found === 'string' ? refuse(found) : use(found)))
      .catch((error: unknown) => {
        if (!(error instanceof StoreUnavailableError)) throw error
        // Silence lets the client ask again; a false "offline" would be final.
        counters.requests.store_unavailable++
        events.unavailable('request', error)
      })
  }

  async #findElsewhere(id: PeerId): Promise<Found | Refusal> {
    const { cluster, identities, settings } = this.parts
    if (id === '' || id.length > settings.limits.idMaxBytes) return 'unknown_id'
    if (!cluster.isAlone) {
      const [location] = await cluster.locate([id])
      if (location) return { ip: location.ip, push: (message) => cluster.push(location.node, id, message) }
    }
    return (await identities.find(id)) ? 'offline' : 'unknown_id'
  }

  #ask(initiator: ClientConnection, id: PeerId, kind: AskKind, needsTruePort: boolean, deviceIp: string): Uint8Array {
    const { cluster, events } = this.parts
    if (!cluster.isAlone) {
      cluster.awaitAnswers(initiator.remote.ip)?.catch((error: unknown) => events.unavailable('request', error))
    }
    return this.waiting.ask(initiator, id, { kind, needsTruePort, deviceIp }).handle
  }

  #push(
    found: Found,
    message: OutgoingRendezvousMessage,
    outcome: RequestOutcome,
    refuse: (refusal: Refusal) => void,
  ): void {
    const { counters, events } = this.parts
    const settle = (pushed: PushOutcome) => {
      if (pushed === 'pushed') counters.requests[outcome]++
      else if (pushed === 'silent') refuse('offline')
    }
    const pushed = found.push(encodeRendezvous(message))
    if (typeof pushed === 'string') settle(pushed)
    else pushed.then(settle, (error: unknown) => events.unavailable('request', error))
  }
}

const send = (connection: ClientConnection, message: OutgoingRendezvousMessage) =>
  connection.send(encodeRendezvous(message))
