import { type Endpoint, encodeRendezvous, rendezvous } from '@tryst/protocol'
import type { Admissions } from './admissions.ts'
import type { Clones } from './clones.ts'
import type { Clock, DatagramPort } from './connection.ts'
import type { Counters, RegistrationOutcome } from './counters.ts'
import type { ListingReason } from './device-access.ts'
import type { DeviceChannel } from './device-channel.ts'
import type { DevicePlaces } from './device-places.ts'
import { DeviceProofs } from './device-proofs.ts'
import type { RendezvousEvents } from './events.ts'
import { type HeldIds, isHeldFor } from './held-ids.ts'
import { type FoundIdentity, type IdentityStore, StoreUnavailableError } from './identity-store.ts'
import type { IpChanges } from './ip-changes.ts'
import type { PeerId } from './peer-identity.ts'
import type { PresenceTable } from './presence-table.ts'
import { checkRegistrationForm, decideRegisterPk, type Registration } from './register-pk.ts'
import type { RegistrationLimiter } from './registration-limits.ts'
import type { RegistrationLimits } from './settings.ts'
import type { SignedIdentities } from './signed-identities.ts'

const { Result } = rendezvous.RegisterPkResponse

type RegisterPkResult = rendezvous.RegisterPkResponse.Result

/** Every answer to RegisterPk. @param keepAlive seconds; only over connections */
const registrationAnswers = (keepAlive = 0): ReadonlyMap<RegisterPkResult, Uint8Array> =>
  new Map(
    Object.values(Result)
      .filter((result) => typeof result === 'number')
      .map((result) => [result, encodeRendezvous({ registerPkResponse: { result, keepAlive } })]),
  )

const HEARTBEAT_ACCEPTED = encodeRendezvous({ registerPeerResponse: { requestPk: false } })
const KEY_WANTED = encodeRendezvous({ registerPeerResponse: { requestPk: true } })

/** Registrations that may wait for the store at once. */
const MAX_PENDING = 20_000
/** A record that changes under our eyes again and again is somebody else's business. */
const MAX_ATTEMPTS = 3
/** A registration is answered within a second: after half of it no further write is begun. */
const BEGIN_WRITES_WITHIN_MS = 500

export interface RegistrarParts {
  readonly admissions: Admissions
  readonly heldIds: HeldIds
  readonly clones: Clones
  readonly identities: IdentityStore
  readonly presence: PresenceTable
  readonly places: DevicePlaces
  readonly signed: SignedIdentities
  readonly limiter: RegistrationLimiter
  readonly ipChanges: IpChanges
  readonly limits: RegistrationLimits
  /** Told to devices that register over a connection. */
  readonly keepAliveMs: number
  readonly counters: Counters
  readonly events: RendezvousEvents
  readonly clock: Clock
}

/** A registration whose form is acceptable. */
type Applicant = Registration & { readonly id: PeerId }

/** Registrations, and heartbeats over UDP (docs/protocol.md, registration). */
export class Registrar {
  readonly #proofs = new DeviceProofs()
  #pending = 0
  readonly #answers: Readonly<Record<DeviceChannel['kind'], ReadonlyMap<RegisterPkResult, Uint8Array>>>

  constructor(private readonly parts: RegistrarParts) {
    const keepAliveSeconds = Math.round(parts.keepAliveMs / 1_000)
    this.#answers = { datagram: registrationAnswers(), connection: registrationAnswers(keepAliveSeconds) }
  }

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
    outcome: 'unknown' | 'moved' | 'held' | 'returned',
    datagrams: DatagramPort,
  ): void {
    const { presence, counters, clock, events } = this.parts
    if (outcome === 'moved') {
      // From loopback, too: a proxy on this host brings strangers there.
      const before = presence.find(id, clock())?.ip ?? ''
      if (before !== ip) events.ipChanged(id, before, ip)
    }
    // Whoever is reached over a connection is moved by nothing but a registration.
    if (outcome !== 'returned') return this.#askForKey(id, ip, port, datagrams)
    counters.heartbeats++
    this.parts.places.claim(id, ip)
    datagrams.send(HEARTBEAT_ACCEPTED, ip, port)
  }

  #askForKey(id: PeerId, ip: string, port: number, datagrams: DatagramPort): void {
    const { clones, counters, clock } = this.parts
    counters.keysRequested++
    clones.watch.asked(id, ip, port, clock())
    datagrams.send(KEY_WANTED, ip, port)
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
    const answer = (outcome: RegistrationOutcome, result: RegisterPkResult) => {
      counters.registrations[outcome]++
      const bytes = this.#answers[channel.kind].get(result)
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
    const applicant = registration as Applicant
    const proof = this.#proofs.of(applicant)
    const { presence, clones } = this.parts
    const isProven = channel.kind === 'datagram' && presence.isProven(applicant.id, ip, proof, clock())
    if (isProven && !clones.watch.isAssumed(applicant.id))
      return answer(this.#online(applicant, from, channel, 'confirmed'), Result.OK)
    if (!limiter.admitLookup({ ip, port, uuid }, clock())) {
      events.limitHit('lookups-per-minute', ip)
      return answer('too_many_lookups', Result.TOO_FREQUENT)
    }
    if (this.#pending >= MAX_PENDING) {
      events.limitHit('pending-registrations', ip)
      return answer('busy', Result.SERVER_ERROR)
    }
    this.#pending++
    this.#store(applicant, from, channel)
      .then((outcome) => {
        switch (outcome) {
          case 'uuid_mismatch':
            return mismatch()
          case 'clone_refused':
            if (limiter.admitMismatch({ ip, port, uuid }, clock())) answer(outcome, Result.UUID_MISMATCH)
            else counters.registrations.mismatch_silence++
            return
          case 'uuid_contradicted':
          case 'too_many_new_ids':
          case 'too_many_key_changes':
            return answer(outcome, Result.TOO_FREQUENT)
          case 'waits_for_approval':
          case 'not_admitted':
            return answer(outcome, Result.NOT_DEPLOYED)
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

  async #store(registration: Applicant, from: Endpoint, channel: DeviceChannel): Promise<RegistrationOutcome> {
    const { identities, presence, limiter, events, clock, signed, admissions, heldIds } = this.parts
    const { id, uuid, publicKey } = registration
    const { ip, port } = from
    if (!presence.hasRoomFor(id)) {
      events.limitHit('devices', ip)
      return 'table_full'
    }
    const begunMs = clock()
    let stored = await identities.find(id)
    if (isHeldFor(stored, registration)) stored = await heldIds.takeBack(stored)
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const decision = decideRegisterPk(registration, stored)
      switch (decision) {
        case 'uuid-mismatch':
          return this.#somebodyElse(registration, from, stored)
        case 'confirm':
          if (this.#isClone(id, from, channel, stored)) return 'clone_refused'
          return this.#online(registration, from, channel, 'confirmed')
        case 'create': {
          if (clock() - begunMs > BEGIN_WRITES_WITHIN_MS) return 'busy'
          const refusal = admissions.isOpen ? undefined : await this.#review(registration, from, 'new-device')
          if (refusal) return refusal
          const admission = limiter.admitNewId({ ip, port, uuid }, id, clock())
          if (admission !== 'admitted') {
            events.limitHit(admission, ip)
            return 'too_many_new_ids'
          }
          const created = await identities.create({ id, uuid, publicKey, ip })
          if (created.created && !admissions.isOpen) admissions.settled(registration)
          if (created.created) return this.#online(registration, from, channel, 'created')
          stored = created.identity
          break
        }
        case 'move':
        case 'change-key':
        case 'new-key-from-elsewhere': {
          const current = stored as FoundIdentity
          const isFromElsewhere = decision === 'new-key-from-elsewhere'
          if (isFromElsewhere && current.standing !== 'certain') return this.#somebodyElse(registration, from, stored)
          if (decision === 'move' && this.#isClone(id, from, channel, stored)) return 'clone_refused'
          if (clock() - begunMs > BEGIN_WRITES_WITHIN_MS) return 'busy'
          const refusal = isFromElsewhere ? await this.#review(registration, from, 'key-changed', current) : undefined
          if (refusal) return refusal
          if (decision !== 'move' && !limiter.admitKeyChange(id, clock())) {
            events.limitHit('key-changes', ip)
            return 'too_many_key_changes'
          }
          if (await identities.update(current, { publicKey, ip })) {
            if (isFromElsewhere) admissions.settled(registration)
            if (decision !== 'move') signed.forget(id)
            return this.#online(registration, from, channel, decision === 'move' ? 'moved' : 'key_changed')
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

  /** What a device is told that needs the operator's word and does not have it; undefined: it has. */
  async #review(
    registration: Applicant,
    from: Endpoint,
    why: ListingReason,
    stored?: FoundIdentity,
  ): Promise<RegistrationOutcome | undefined> {
    const { admissions, limiter, events, clock } = this.parts
    const { id, uuid } = registration
    const admission = await admissions.review(registration, why, () => {
      const listing = limiter.admitNewId({ ...from, uuid }, id, clock())
      if (listing !== 'admitted') events.limitHit(listing, from.ip)
      return listing === 'admitted'
    })
    if (admission === 'admitted') return undefined
    if (admission === 'too-many') return 'too_many_new_ids'
    const waits = admission === 'waiting'
    if (why === 'key-changed') events.newKeyRefused(id, from, stored?.ip ?? '')
    else events.notAdmitted(id, from, { why, waits, registeredFrom: '' })
    return waits ? 'waits_for_approval' : 'not_admitted'
  }

  /** A stock client that is told UUID_MISMATCH throws its id away: only the store itself may be the reason. */
  #somebodyElse(registration: Applicant, from: Endpoint, stored: FoundIdentity | undefined): RegistrationOutcome {
    if (stored?.standing === 'uncertain') return 'uuid_uncertain'
    if (stored?.standing !== 'contradicted') return 'uuid_mismatch'
    this.parts.events.identityContradicted(registration.id, from, registration, stored)
    return 'uuid_contradicted'
  }

  /** The later one of two machines with this identity draws another id when it is told UUID_MISMATCH. */
  #isClone(id: PeerId, from: Endpoint, channel: DeviceChannel, stored: FoundIdentity | undefined): boolean {
    return channel.kind === 'datagram' && stored?.standing === 'certain' && this.parts.clones.refuses(id, from)
  }

  /** What had to be stored is stored: the device is online at this address. */
  #online(
    applicant: Applicant,
    { ip, port }: Endpoint,
    channel: DeviceChannel,
    how: 'confirmed' | 'created' | 'moved' | 'key_changed',
  ): RegistrationOutcome {
    const { presence, places, events, ipChanges, clock } = this.parts
    const { id } = applicant
    const here = presence.find(id, clock())
    const before = here?.ip
    if (channel.kind === 'datagram') this.parts.clones.registered(id, { ip, port }, here)
    const change = places.settle(id, { ip, port }, channel)
    if (change === 'gone') return 'connection_closed'
    if (change === 'full' || change === 'crowded') {
      events.limitHit(change === 'full' ? 'devices' : 'devices-on-connections', ip)
      return 'table_full'
    }
    presence.prove(id, this.#proofs.of(applicant))
    if (how !== 'confirmed') events.registered(id, { ip, port }, how)
    if (how === 'moved' || (before !== undefined && before !== ip)) ipChanges.note(id, ip, clock())
    return how
  }
}
