import { type Endpoint, encodeRendezvous, rendezvous } from '@tryst/protocol'
import type { Cluster } from './cluster.ts'
import type { Clock, DatagramPort } from './connection.ts'
import type { Counters, RegistrationOutcome } from './counters.ts'
import type { DeviceChannel } from './device-channel.ts'
import type { RendezvousEvents } from './events.ts'
import { type FoundIdentity, type IdentityStore, StoreUnavailableError } from './identity-store.ts'
import type { IpChanges } from './ip-changes.ts'
import { isLoopback } from './loopback.ts'
import type { PeerId } from './peer-identity.ts'
import type { PresenceTable } from './presence-table.ts'
import { checkRegistrationForm, decideRegisterPk, type Registration } from './register-pk.ts'
import type { RegistrationLimiter } from './registration-limits.ts'
import type { RegistrationLimits } from './settings.ts'
import type { SignedIdentities } from './signed-identities.ts'

const { Result } = rendezvous.RegisterPkResponse

const ANSWERS = Object.fromEntries(
  [Result.OK, Result.UUID_MISMATCH, Result.TOO_FREQUENT, Result.INVALID_ID_FORMAT, Result.SERVER_ERROR].map(
    (result) => [result, encodeRendezvous({ registerPkResponse: { result } })],
  ),
) as Readonly<Record<number, Uint8Array>>
const HEARTBEAT_ACCEPTED = encodeRendezvous({ registerPeerResponse: { requestPk: false } })
const KEY_WANTED = encodeRendezvous({ registerPeerResponse: { requestPk: true } })

/** Registrations that may wait for the store at once. */
const MAX_PENDING = 20_000
/** A record that changes under our eyes again and again is somebody else's business. */
const MAX_ATTEMPTS = 3
/** A registration is answered within a second: after half of it no further write is begun. */
const BEGIN_WRITES_WITHIN_MS = 500

export interface RegistrarParts {
  readonly identities: IdentityStore
  readonly cluster: Cluster
  readonly presence: PresenceTable
  readonly signed: SignedIdentities
  readonly limiter: RegistrationLimiter
  readonly ipChanges: IpChanges
  readonly limits: RegistrationLimits
  readonly counters: Counters
  readonly events: RendezvousEvents
  readonly clock: Clock
}

/** A registration whose form is acceptable. */
type Applicant = Registration & { readonly id: PeerId }

/** Registrations, and heartbeats over UDP (docs/protocol.md, registration). */
export class Registrar {
  #pending = 0

  constructor(private readonly parts: RegistrarParts) {}

  /** Registrations that wait for the store now. */
  get pending(): number {
    return this.#pending
  }

  /** RegisterPeer. Touches nothing but this node's memory. */
  heartbeat(id: PeerId, ip: string, port: number, datagrams: DatagramPort): void {
    const { presence, counters, clock } = this.parts
    const outcome = presence.touch(id, ip, port, clock())
    if (outcome === 'refreshed') {
      counters.heartbeats++
      datagrams.send(HEARTBEAT_ACCEPTED, ip, port)
      return
    }
    this.#unusualHeartbeat(id, ip, port, outcome, datagrams)
  }

  #unusualHeartbeat(
    id: PeerId,
    ip: string,
    port: number,
    outcome: 'unknown' | 'moved' | 'returned',
    datagrams: DatagramPort,
  ): void {
    const { presence, counters, clock, events } = this.parts
    if (outcome === 'moved') {
      const before = presence.find(id, clock())?.ip ?? ''
      if (!isLoopback(ip)) {
        events.ipChanged(id, before, ip)
        counters.keysRequested++
        datagrams.send(KEY_WANTED, ip, port)
        return
      }
      // A device on the server's own host may show up at loopback: no change of its place.
      presence.register(id, ip, port, clock())
    } else if (outcome === 'unknown') {
      counters.keysRequested++
      datagrams.send(KEY_WANTED, ip, port)
      return
    }
    counters.heartbeats++
    this.#claim(id, ip)
    datagrams.send(HEARTBEAT_ACCEPTED, ip, port)
  }

  /**
   * RegisterPk. OK is sent only after the store has accepted what there was to store.
   *
   * @param channel how this device is answered
   */
  register(message: rendezvous.RegisterPk, from: Endpoint, channel: DeviceChannel): void {
    const { ip, port } = from
    const { limits, limiter, counters, clock, events } = this.parts
    // The message's bytes are those of the datagram, which do not outlive this call; the store takes longer.
    const registration: Registration = {
      ...{ id: message.id, ip },
      uuid: Uint8Array.from(message.uuid),
      publicKey: Uint8Array.from(message.pk),
    }
    const answer = (outcome: RegistrationOutcome, result: rendezvous.RegisterPkResponse.Result) => {
      counters.registrations[outcome]++
      const bytes = ANSWERS[result]
      if (bytes) channel.send(bytes)
    }
    const { uuid } = registration
    const mismatch = () => {
      if (!limiter.admitMismatch({ ip, port, uuid }, clock())) {
        counters.registrations.mismatch_silence++
        events.limitHit('uuid-mismatch-silence', ip)
        return
      }
      events.uuidMismatch(message.id, { ip, port })
      answer('uuid_mismatch', Result.UUID_MISMATCH)
    }
    const form = checkRegistrationForm(registration, limits)
    if (form === 'ignore') {
      counters.registrations.ignored++
      return
    }
    if (form === 'uuid-mismatch') return mismatch()
    if (form === 'invalid') return answer('invalid', Result.INVALID_ID_FORMAT)
    if (!limiter.admitLookup({ ip, port, uuid }, clock())) {
      events.limitHit('lookups-per-minute', ip)
      return answer('too_many_lookups', Result.TOO_FREQUENT)
    }
    if (this.#pending >= MAX_PENDING) {
      events.limitHit('pending-registrations', ip)
      return answer('busy', Result.SERVER_ERROR)
    }
    this.#pending++
    this.#store(registration as Applicant, from)
      .then((outcome) => {
        switch (outcome) {
          case 'uuid_mismatch':
            return mismatch()
          case 'uuid_contradicted':
          case 'too_many_new_ids':
          case 'too_many_key_changes':
            return answer(outcome, Result.TOO_FREQUENT)
          case 'uuid_uncertain':
          case 'table_full':
          case 'busy':
            return answer(outcome, Result.SERVER_ERROR)
          default:
            return answer(outcome, Result.OK)
        }
      })
      .catch((error: unknown) => {
        if (!(error instanceof StoreUnavailableError)) throw error
        events.unavailable('registration', error)
        answer('store_unavailable', Result.SERVER_ERROR)
      })
      .finally(() => {
        this.#pending--
      })
  }

  async #store(registration: Applicant, from: Endpoint): Promise<RegistrationOutcome> {
    const { identities, presence, limiter, events, clock, signed } = this.parts
    const { id, uuid, publicKey } = registration
    const { ip, port } = from
    if (!presence.hasRoomFor(id)) {
      events.limitHit('devices', ip)
      return 'table_full'
    }
    const begunMs = clock()
    let stored = await identities.find(id)
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const decision = decideRegisterPk(registration, stored)
      switch (decision) {
        case 'uuid-mismatch':
          return this.#somebodyElse(registration, from, stored)
        case 'confirm':
          return this.#online(id, from, 'confirmed')
        case 'create': {
          if (clock() - begunMs > BEGIN_WRITES_WITHIN_MS) return 'busy'
          const admission = limiter.admitNewId({ ip, port, uuid }, id, clock())
          if (admission !== 'admitted') {
            events.limitHit(admission, ip)
            return 'too_many_new_ids'
          }
          const created = await identities.create({ id, uuid, publicKey, ip })
          if (created.created) return this.#online(id, from, 'created')
          stored = created.identity
          break
        }
        case 'move':
        case 'change-key': {
          if (clock() - begunMs > BEGIN_WRITES_WITHIN_MS) return 'busy'
          if (decision === 'change-key' && !limiter.admitKeyChange(id, clock())) {
            events.limitHit('key-changes', ip)
            return 'too_many_key_changes'
          }
          const current = stored as FoundIdentity
          if (await identities.update(current, { publicKey, ip })) {
            if (decision === 'change-key') signed.forget(id)
            return this.#online(id, from, decision === 'move' ? 'moved' : 'key_changed')
          }
          stored = await identities.find(id)
          break
        }
        default:
          return decision satisfies never
      }
    }
    return 'busy'
  }

  /** A stock client that is told UUID_MISMATCH throws its id away: only the store itself may be the reason. */
  #somebodyElse(registration: Applicant, from: Endpoint, stored: FoundIdentity | undefined): RegistrationOutcome {
    if (stored?.standing === 'uncertain') return 'uuid_uncertain'
    if (stored?.standing !== 'contradicted') return 'uuid_mismatch'
    this.parts.events.identityContradicted(registration.id, from, registration, stored)
    return 'uuid_contradicted'
  }

  /** What had to be stored is stored: the device is online at this address. */
  #online(
    id: PeerId,
    { ip, port }: Endpoint,
    how: 'confirmed' | 'created' | 'moved' | 'key_changed',
  ): RegistrationOutcome {
    const { presence, events, ipChanges, clock } = this.parts
    const before = presence.find(id, clock())?.ip
    const change = presence.register(id, ip, port, clock())
    if (change === 'full') {
      events.limitHit('devices', ip)
      return 'table_full'
    }
    if (how !== 'confirmed') events.registered(id, { ip, port }, how)
    if (how === 'moved' || (before !== undefined && before !== ip)) ipChanges.note(id, ip, clock())
    if (change !== 'refreshed') this.#claim(id, ip)
    return how
  }

  #claim(id: PeerId, ip: string): void {
    const { cluster, events } = this.parts
    if (cluster.isAlone) return
    cluster.claim(id, ip).catch((error: unknown) => events.unavailable('presence', error))
  }
}
