import {
  encodeRendezvous,
  forwarded,
  type OutgoingRendezvousMessage,
  type RendezvousMessage,
  rendezvous,
} from '@tryst/protocol'
import { AnswerGuesses } from './answer-guesses.ts'
import { withAttemptCode } from './attempt-code.ts'
import type { Attempt, AttemptRecorder } from './attempt-recorder.ts'
import type { RelayChooser } from './choose-relay.ts'
import { withPort } from './choose-relay.ts'
import type { Cluster, DeviceAnswer } from './cluster.ts'
import type { ClientConnection, Clock } from './connection.ts'
import { CONTROL_REFUSALS } from './control-access.ts'
import type { ControlGate } from './control-gate.ts'
import type { Counters, RequestOutcome } from './counters.ts'
import { localAddressAnswer, punchHoleAnswer, relayAnswer, relayForInitiator } from './device-answer.ts'
import type { DeviceRequests, Found, Refusal } from './device-requests.ts'
import type { RendezvousEvents } from './events.ts'
import { StoreUnavailableError } from './identity-store.ts'
import type { IssuedTickets } from './issued-tickets.ts'
import { isExpectedKey, keyMismatchText } from './key-check.ts'
import { lanMatcher } from './lan.ts'
import type { PeerId } from './peer-identity.ts'
import { decidePunchHole } from './punch-hole.ts'
import type { PunchLog } from './punch-log.ts'
import { fetchLocalAddr, isPort, punchHole } from './punch-push.ts'
import type { RendezvousSettings } from './settings.ts'
import type { SignedIdentities } from './signed-identities.ts'
import { UnprovenAnswers } from './unproven-answers.ts'
import { type Ask, type Question, type RandomUint32, WaitingInitiators } from './waiting-initiators.ts'

const { Failure } = rendezvous.PunchHoleResponse

/**
 * What a controller says and its device must not hear: what proves who the controller is concerns the server alone, and
 * what it may do at the device only the server can say.
 */
const WITHHELD = { token: '', switchCode: '', controlPermissions: null, controlledContext: null }

/** A request that is handed on to a device over UDP; the largest that stock clients send is far below. */
const MAX_FORWARDED_BYTES = 1_400

/** An answer that is taken to another node; those of stock clients are far below. */
const MAX_ANSWER_BYTES = 4_096

/** Within ten seconds: many devices may be behind one address, and each answers three times. */
const FORWARDED_DATAGRAMS_PER_ADDRESS = 200

export interface IntroducerParts {
  readonly settings: RendezvousSettings
  readonly cluster: Cluster
  readonly requests: DeviceRequests
  readonly signed: SignedIdentities
  readonly relays: RelayChooser
  readonly tickets: IssuedTickets
  readonly gate: ControlGate
  /** Whether somebody at this address may be anybody. */
  readonly isHidden: (ip: string) => boolean
  readonly punchLog: PunchLog
  readonly counters: Counters
  readonly events: RendezvousEvents
  readonly clock: Clock
  readonly random: RandomUint32
  /** Not there: attempts are not recorded. */
  readonly attempts?: AttemptRecorder | undefined
}

/** Brings controllers and devices together: punches, relays, and devices' answers (docs/protocol.md, introduction). */
export class Introducer {
  readonly waiting: WaitingInitiators
  /** Switched by the console. */
  alwaysUseRelay: boolean
  #draining = false
  readonly #guesses: AnswerGuesses
  readonly #forwardedDatagrams = new UnprovenAnswers(FORWARDED_DATAGRAMS_PER_ADDRESS)
  readonly #isLan: (ip: string) => boolean
  readonly #lanRelay: string | undefined

  constructor(private readonly parts: IntroducerParts) {
    const { settings, random } = parts
    this.waiting = new WaitingInitiators(random)
    this.#guesses = new AnswerGuesses(parts.isHidden)
    this.alwaysUseRelay = settings.alwaysUseRelay
    this.#isLan = lanMatcher(settings.lan?.cidr)
    this.#lanRelay = settings.lan && withPort(settings.lan.localIp, settings.relayPort)
  }

  get isDraining(): boolean {
    return this.#draining
  }

  /** Takes no new requests; answers to those that wait still come through. */
  drain(): void {
    this.#draining = true
  }

  /** PunchHoleRequest of a controller. */
  punch(initiator: ClientConnection, request: rendezvous.PunchHoleRequest): void {
    const { settings, events } = this.parts
    // The client asks again on a new connection, and finds another node or this one after its restart.
    if (this.#draining) return initiator.close()
    const attempt = this.parts.attempts?.begin(initiator, 'punch', request.id)
    if (!isExpectedKey(settings.expectedKey, request.licenceKey)) {
      events.keyMismatch(request.id, initiator.remote)
      this.#count(attempt, 'key_mismatch')
      const otherFailure = withAttemptCode(keyMismatchText(settings.expectedKey ?? ''), attempt)
      return send(initiator, { punchHoleResponse: { failure: Failure.LICENSE_MISMATCH, otherFailure } })
    }
    if (this.parts.gate.isOpen) return this.#punch(initiator, request, attempt)
    this.#admit(initiator, request, attempt, {
      refuse: (otherFailure) => send(initiator, { punchHoleResponse: { otherFailure } }),
      proceed: () => this.#punch(initiator, request, attempt),
    })
  }

  #punch(initiator: ClientConnection, request: rendezvous.PunchHoleRequest, attempt: Attempt | undefined): void {
    const id = request.id as PeerId
    const refuse = (refusal: Refusal) => {
      this.#count(attempt, refusal)
      const failure = refusal === 'offline' ? Failure.OFFLINE : Failure.ID_NOT_EXIST
      // The words that clients have for it themselves, so that they do afterwards what they do without the code.
      const otherFailure = attempt && withAttemptCode(REFUSALS[refusal], attempt)
      send(initiator, { punchHoleResponse: otherFailure === undefined ? { failure } : { failure, otherFailure } })
    }
    const compose = (found: Found) => this.#composePunch(initiator, request, found, attempt)
    this.parts.requests.send({ initiator, id, uuid: '', refuse, compose, attempt })
  }

  #composePunch(
    initiator: ClientConnection,
    request: rendezvous.PunchHoleRequest,
    found: Found,
    attempt: Attempt | undefined,
  ) {
    const { relays, punchLog, clock } = this.parts
    const { remote, transport } = initiator
    const id = request.id as PeerId
    punchLog.add(remote, id, found.ip, clock())
    const decision = decidePunchHole({
      initiator: { ip: remote.ip, transport, isLan: this.#isLan(remote.ip) },
      device: { ip: found.ip, isWebSocket: found.isWebSocket, isLan: this.#isLan(found.ip) },
      natType: request.natType,
      forceRelay: request.forceRelay,
      alwaysUseRelay: this.alwaysUseRelay,
      relay: relays.next(found.ip, remote.ip),
      lanRelay: this.#lanRelay ?? '',
    })
    const kind = decision.ask === 'punch' ? 'punch' : 'local-address'
    // Behind a proxy nobody knows it.
    const needsTruePort = decision.needsTruePort && remote.port !== 0
    const byUdp = kind === 'punch' && needsTruePort && isPort(request.udpPort)
    const feedback = feedbackOf(initiator, request.token)
    const handle = this.#ask(initiator, id, { kind, needsTruePort, byUdp, deviceIp: found.ip, feedback }, attempt)
    const message: OutgoingRendezvousMessage =
      kind === 'punch'
        ? { punchHole: punchHole(request, decision, handle) }
        : { fetchLocalAddr: fetchLocalAddr(request, decision, handle) }
    return { bytes: encodeRendezvous(message), outcome: kind === 'punch' ? 'punch' : 'local_address' } as const
  }

  /** RequestRelay of a controller; refused in words at once where the reference would let it wait for 18 s. */
  relay(initiator: ClientConnection, request: rendezvous.RequestRelay): void {
    const { settings, events } = this.parts
    if (this.#draining) return initiator.close()
    const attempt = this.parts.attempts?.begin(initiator, 'relay', request.id)
    // Clients name the key only towards the relay; one that is named here has to be right.
    if (request.licenceKey !== '' && !isExpectedKey(settings.expectedKey, request.licenceKey)) {
      events.keyMismatch(request.id, initiator.remote)
      return this.#refuseRelay(initiator, attempt, 'key_mismatch', keyMismatchText(settings.expectedKey ?? ''))
    }
    if (this.parts.gate.isOpen) return this.#relay(initiator, request, attempt)
    this.#admit(initiator, request, attempt, {
      refuse: (refuseReason) => send(initiator, { relayResponse: { refuseReason } }),
      proceed: () => this.#relay(initiator, request, attempt),
    })
  }

  #relay(initiator: ClientConnection, request: rendezvous.RequestRelay, attempt: Attempt | undefined): void {
    const { relays } = this.parts
    const say = (outcome: RequestOutcome, text: string) => this.#refuseRelay(initiator, attempt, outcome, text)
    const id = request.id as PeerId
    const refuse = (refusal: Refusal) => say(refusal, REFUSALS[refusal])
    const compose = (found: Found) => {
      const feedback = feedbackOf(initiator, request.token)
      const question = { kind: 'relay', needsTruePort: false, byUdp: false, deviceIp: found.ip, feedback } as const
      const socketAddr = this.#ask(initiator, id, question, attempt)
      const relayServer = relays.translate(request.relayServer, found.ip)
      const bytes = encodeRendezvous({ requestRelay: forwarded(request, { ...WITHHELD, socketAddr, relayServer }) })
      if (bytes.length <= MAX_FORWARDED_BYTES) return { bytes, outcome: 'relay' } as const
      say('too_long', 'The request is too long')
      return undefined
    }
    this.parts.requests.send({ initiator, id, uuid: request.uuid, refuse, compose, attempt })
  }

  #refuseRelay(initiator: ClientConnection, attempt: Attempt | undefined, outcome: RequestOutcome, text: string): void {
    this.#count(attempt, outcome)
    send(initiator, { relayResponse: { refuseReason: withAttemptCode(text, attempt) } })
  }

  /** The controller is told no. */
  #count(attempt: Attempt | undefined, outcome: RequestOutcome): void {
    this.parts.counters.requests[outcome]++
    if (attempt) this.parts.attempts?.note(attempt, 'refused', { what: outcome })
  }

  /** Finds out whether this controller may ask for devices, before anything of the device is looked up. */
  #admit(
    initiator: ClientConnection,
    { id, token }: { readonly id: string; readonly token: string },
    attempt: Attempt | undefined,
    { refuse, proceed }: { refuse(text: string): void; proceed(): void },
  ): void {
    const { gate, counters, events } = this.parts
    gate
      .decide({ initiator, token })
      .then((decision) => {
        if (decision === 'allowed') return proceed()
        this.#count(attempt, 'not_allowed')
        events.controlRefused(id, initiator.remote, decision)
        refuse(withAttemptCode(CONTROL_REFUSALS[decision], attempt))
      })
      .catch((error: unknown) => {
        // Silence lets the client ask again.
        if (!(error instanceof StoreUnavailableError)) throw error
        counters.requests.store_unavailable++
        if (attempt) this.parts.attempts?.note(attempt, 'unanswered', { what: 'store_unavailable' })
        events.unavailable('request', error)
      })
  }

  /** An answer that a device sent to this node: for an initiator here, else for one on another node. */
  deviceAnswered(answer: DeviceAnswer, message: RendezvousMessage): void {
    const { cluster, counters, clock } = this.parts
    if (!this.#guesses.admit(answer, clock())) {
      counters.answers.too_many++
      return
    }
    if (this.#deliver(answer, message)) return
    this.#guesses.missed(answer, clock())
    if (cluster.isAlone || answer.message.length > MAX_ANSWER_BYTES) {
      counters.answers.nobody_waits++
      return
    }
    // Anybody can send datagrams from any address, and each would be a question to other nodes.
    if (answer.kind === 'udp-punch-hole-sent' && !this.#forwardedDatagrams.admit(answer.from.ip, clock())) {
      counters.answers.too_many++
      return
    }
    this.#deliverElsewhere(answer)
  }

  #deliverElsewhere(answer: DeviceAnswer): void {
    const { cluster, counters, events } = this.parts
    cluster
      .answer(answer)
      .then((taken) => {
        if (taken) this.#guesses.cleared(answer)
        counters.answers[taken ? 'delivered' : 'nobody_waits']++
      })
      .catch((error: unknown) => {
        this.#guesses.cleared(answer)
        events.unavailable('answer', error)
      })
  }

  /** Hands an answer to the initiator that waits for it on this node. False when none does. */
  #deliver(answer: DeviceAnswer, message: RendezvousMessage): boolean {
    const { signed, events, counters, clock, tickets, attempts } = this.parts
    const ask = this.waiting.match(answer, clock(), this.#guesses.isSuspect(answer, clock()))
    if (!ask) {
      this.#guesses.noteWrong(answer, clock())
      return false
    }
    if (ask === 'repeated') {
      counters.answers.repeated++
      return true
    }
    counters.answers.delivered++
    const deliver = (signedIdentity: Uint8Array) => {
      const outgoing = this.#outgoingAnswer(answer, message, signedIdentity, ask)
      if (outgoing) send(ask.initiator, outgoing)
    }
    if (ask.attempt && attempts) noteAnswer(attempts, ask.attempt, answer, message)
    const atHand = signed.peek(ask.id)
    // The relay has to know of the session before the controller comes to it.
    const { ip } = ask.initiator.remote
    const ticket = message.relayResponse && tickets.issue(message.relayResponse.uuid, ask.id, ip)
    if (atHand && !ticket) deliver(atHand)
    else {
      Promise.all([atHand ?? signed.find(ask.id), ticket])
        .then(([signedIdentity]) => deliver(signedIdentity))
        .catch((error: unknown) => events.unavailable('answer', error))
    }
    return true
  }

  /** The same for an answer that arrived at another node. */
  async deliverFromNode(answer: DeviceAnswer, message: RendezvousMessage): Promise<boolean> {
    return this.#deliver(answer, message)
  }

  #outgoingAnswer(
    { from, kind }: DeviceAnswer,
    message: RendezvousMessage,
    signedIdentity: Uint8Array,
    { initiator, feedback }: Ask,
  ): OutgoingRendezvousMessage | undefined {
    const { random, relays } = this.parts
    const { ip } = initiator.remote
    const answer = message.punchHoleSent ?? message.localAddr ?? message.relayResponse
    if (!answer) return undefined
    const relayServer = relays.translate(answer.relayServer, ip)
    const isUdp = kind === 'udp-punch-hole-sent'
    const isOtherFamily = from.ip.includes(':') !== ip.includes(':')
    const facts = { signedIdentity, from, isUdp, isOtherFamily, tm: random(), relayServer, feedback }
    if (message.punchHoleSent) return punchHoleAnswer(message.punchHoleSent, facts)
    if (message.localAddr) return localAddressAnswer(message.localAddr, facts)
    if (!message.relayResponse) return undefined
    const relay = relayForInitiator(relayServer, {
      initiatorIsLan: this.#isLan(ip),
      lanRelay: this.#lanRelay,
      nextRelay: () => relays.next(ip),
    })
    return relayAnswer(message.relayResponse, { ...facts, relayServer: relay })
  }

  #ask(initiator: ClientConnection, id: PeerId, question: Question, attempt: Attempt | undefined): Uint8Array {
    const ask = this.waiting.ask(initiator, id, question, this.parts.clock())
    ask.attempt = attempt
    return ask.handle
  }
}

/** What stock clients say themselves when they are told the code of the failure; after neither do they try again. */
const REFUSALS: Readonly<Record<Refusal, string>> = {
  offline: 'Remote desktop is offline',
  unknown_id: 'ID does not exist',
}

function noteAnswer(attempts: AttemptRecorder, attempt: Attempt, answer: DeviceAnswer, message: RendezvousMessage) {
  const { relayServer } = message.punchHoleSent ?? message.localAddr ?? message.relayResponse ?? NO_RELAY
  attempt.isAnswered = true
  attempts.note(attempt, 'answered', { what: answer.kind, from: answer.from, relay: relayServer })
  const uuid = message.relayResponse?.uuid
  if (uuid) attempts.noteSession(attempt, uuid)
}

const NO_RELAY = { relayServer: '' }

/**
 * Controllers that are signed in tell the server how long a session lives, where it asks for that: those that can, over
 * a connection that is encrypted or a WebSocket.
 */
const feedbackOf = (controller: ClientConnection, token: string): number =>
  token !== '' && (controller.isEncrypted === true || controller.transport === 'websocket') ? 1 : 0

const send = (connection: ClientConnection, message: OutgoingRendezvousMessage) =>
  connection.send(encodeRendezvous(message))
