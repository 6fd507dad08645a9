import type { Endpoint } from '@tryst/protocol'
import type { Attempt, AttemptRecorder } from './attempt-recorder.ts'
import type { Cluster, PushOutcome } from './cluster.ts'
import type { ClientConnection, Clock } from './connection.ts'
import type { Counters, RequestOutcome } from './counters.ts'
import type { DevicePlaces } from './device-places.ts'
import type { RendezvousEvents } from './events.ts'
import { type IdentityStore, StoreUnavailableError } from './identity-store.ts'
import type { IssuedTickets } from './issued-tickets.ts'
import { isWebSocketName } from './kept-connections.ts'
import type { NodeId, PeerId } from './peer-identity.ts'
import type { Presence, PresenceTable } from './presence-table.ts'

/** Devices speak up every 15 s: one that was heard of longer ago may have turned to another node. */
const HEARD_LATELY_MS = 17_000

/**
 * Look-ups for one connection at once. Stock clients wait for an answer before they ask again; what others send faster
 * than it can be looked up would fill the way to the shared memory for everybody.
 */
const MAX_LOOKUPS_PER_CONNECTION = 4

/** Where a device was found. */
export interface Found {
  readonly node: NodeId | 'here'
  readonly ip: string
  /** It has no port that anybody could connect to. */
  readonly isWebSocket: boolean
  /** The name of the connection that it is reached over; undefined: UDP, or not known. */
  readonly via: string | undefined
  /** Where this node hears it from. */
  readonly at?: Endpoint
  push(message: Uint8Array, attempt: Attempt | undefined): PushOutcome | Promise<PushOutcome>
}

export type Refusal = 'unknown_id' | 'offline'

/** A controller's request that is allowed; what is left is to find the device and to tell it. */
export interface DeviceRequest {
  readonly initiator: ClientConnection
  readonly id: PeerId
  /** Of the relayed session, where the controller named it. */
  readonly uuid: string
  /** Undefined: it is not recorded. */
  readonly attempt: Attempt | undefined
  refuse(refusal: Refusal): void
  /** What the device is sent; undefined: the request was refused meanwhile. */
  compose(found: Found): { readonly bytes: Uint8Array; readonly outcome: RequestOutcome } | undefined
}

export interface DeviceRequestsParts {
  readonly identities: IdentityStore
  readonly cluster: Cluster
  readonly presence: PresenceTable
  readonly tickets: IssuedTickets
  readonly counters: Counters
  readonly events: RendezvousEvents
  readonly clock: Clock
  readonly idMaxBytes: number
  /** Devices that this node holds. */
  readonly places: Pick<DevicePlaces, 'push' | 'viaOf'>
  /** Not there: attempts are not recorded. */
  readonly attempts?: AttemptRecorder | undefined
}

/** Brings requests to devices, on whichever node they are (docs/protocol.md, introduction). */
export class DeviceRequests {
  readonly #lookups = new WeakMap<ClientConnection, number>()

  constructor(private readonly parts: DeviceRequestsParts) {}

  /** One that this node hears is asked without waiting for anything. */
  send(request: DeviceRequest): void {
    const { presence, clock, cluster } = this.parts
    const { id } = request
    const nowMs = clock()
    const here = presence.find(id, nowMs)
    if (here?.online && (cluster.isAlone || nowMs - here.lastSeenMs <= HEARD_LATELY_MS)) {
      return this.#prepare(request, this.#foundHere(id, here))
    }
    if (!this.#beginLookup(request.initiator)) return this.#note(request, 'unanswered', 'too_many')
    this.#find(id, here?.online ? this.#foundHere(id, here) : undefined)
      .finally(() => this.#endLookup(request.initiator))
      .then((found) => {
        if (typeof found === 'string') request.refuse(found)
        else this.#prepare(request, found)
      })
      .catch((error: unknown) => this.#giveUp(request, error))
  }

  /** False: the connection asks for too much at once. */
  #beginLookup(initiator: ClientConnection): boolean {
    const lookups = this.#lookups.get(initiator) ?? 0
    if (lookups >= MAX_LOOKUPS_PER_CONNECTION) {
      this.parts.counters.requests.too_many++
      return false
    }
    this.#lookups.set(initiator, lookups + 1)
    return true
  }

  #endLookup(initiator: ClientConnection): void {
    this.#lookups.set(initiator, (this.#lookups.get(initiator) ?? 1) - 1)
  }

  #foundHere(id: PeerId, here: Presence): Found {
    const { places } = this.parts
    const { ip } = here
    const via = places.viaOf(id)
    const isWebSocket = isWebSocketName(via ?? '')
    return { node: 'here', ip, isWebSocket, via, at: here, push: (message) => places.push(id, message) }
  }

  /** @param here where to turn when no other node has the device, or none can be asked */
  async #find(id: PeerId, here: Found | undefined): Promise<Found | Refusal> {
    const { identities, idMaxBytes } = this.parts
    if (id === '' || id.length > idMaxBytes) return 'unknown_id'
    try {
      const found = (await this.#findElsewhere(id)) ?? here
      if (found) return found
    } catch (error) {
      if (here && error instanceof StoreUnavailableError) return here
      throw error
    }
    return (await identities.find(id)) ? 'offline' : 'unknown_id'
  }

  async #findElsewhere(id: PeerId): Promise<Found | undefined> {
    const { cluster } = this.parts
    if (cluster.isAlone) return undefined
    const [location] = await cluster.locate([id])
    if (!location) return undefined
    const { node, ip, via } = location
    return {
      ...{ node, ip, via, isWebSocket: isWebSocketName(via ?? '') },
      push: (message, attempt) => cluster.push(node, id, message, attempt?.code),
    }
  }

  /** Lets the other nodes and the relays know before the device does, whose answer may be quick. */
  #prepare(request: DeviceRequest, found: Found): void {
    const { cluster, tickets, events } = this.parts
    const { ip } = request.initiator.remote
    const known = cluster.awaitAnswers(ip)
    const ticket = tickets.issue(request.uuid, request.id, ip)
    if (request.uuid !== '' && request.attempt) this.parts.attempts?.noteSession(request.attempt, request.uuid)
    if (!known && !ticket) return this.#push(request, found, 'first')
    // Where it can't be told, nodes and relays ask one another.
    Promise.all([known?.catch((error: unknown) => events.unavailable('request', error)), ticket])
      .then(() => this.#push(request, found, 'first'))
      .catch((error: unknown) => this.#giveUp(request, error))
  }

  #push(request: DeviceRequest, found: Found, attempt: 'first' | 'last'): void {
    const { counters, events } = this.parts
    // What is noted for a connection that has gone would never be cleared away.
    if (request.initiator.isClosed) {
      counters.requests.initiator_gone++
      return
    }
    const push = request.compose(found)
    if (!push) return
    const settle = (pushed: PushOutcome): void | Promise<void> => {
      this.#notePush(request, found, push.outcome, pushed)
      if (pushed === 'pushed') counters.requests[push.outcome]++
      else if (pushed === 'silent') request.refuse('offline')
      else if (attempt === 'first') return this.#followUp(request, found)
      else counters.requests.node_unavailable++
    }
    const pushed = found.push(push.bytes, request.attempt)
    const settled =
      typeof pushed === 'string'
        ? settle(pushed)
        : pushed.then(settle, (error: unknown) => {
            // Its node may have pushed it: silence lets the client ask again.
            counters.requests.node_unavailable++
            this.#note(request, 'unanswered', 'node_unavailable')
            events.unavailable('request', error)
          })
    settled?.catch((error: unknown) => this.#giveUp(request, error))
  }

  #notePush({ attempt }: DeviceRequest, found: Found, outcome: RequestOutcome, pushed: PushOutcome): void {
    const { attempts } = this.parts
    if (!attempt || !attempts) return
    const { at: from, via = 'udp' } = found
    const node = found.node === 'here' ? '' : found.node
    if (pushed === 'pushed') attempts.note(attempt, 'pushed', { what: outcome, via, node, from })
    else attempts.note(attempt, 'not_pushed', { what: pushed, via, node, from })
  }

  #note({ attempt }: DeviceRequest, step: 'unanswered', what: RequestOutcome): void {
    if (attempt) this.parts.attempts?.note(attempt, step, { what })
  }

  /** The device is not where it was found: it may have moved a moment ago. */
  async #followUp(request: DeviceRequest, former: Found): Promise<void> {
    const { presence, clock, counters } = this.parts
    const here = presence.find(request.id, clock())
    const found = here?.online ? this.#foundHere(request.id, here) : await this.#findElsewhere(request.id)
    if (!found) request.refuse('offline')
    else if (found.node === former.node) {
      counters.requests.node_unavailable++
      this.#note(request, 'unanswered', 'node_unavailable')
    } else this.#push(request, found, 'last')
  }

  /** Silence lets the client ask again; a false "offline" would be final. */
  #giveUp(request: DeviceRequest, error: unknown): void {
    if (!(error instanceof StoreUnavailableError)) throw error
    this.#note(request, 'unanswered', 'store_unavailable')
    this.parts.counters.requests.store_unavailable++
    this.parts.events.unavailable('request', error)
  }
}
