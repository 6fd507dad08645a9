import { type Endpoint, rendezvous } from '@tryst/protocol'
import type { Admissions } from './admissions.ts'
import { decideIdChange, type IdChange, isAcceptableNewId } from './change-id.ts'
import type { Clock } from './connection.ts'
import type { Counters, IdChangeOutcome } from './counters.ts'
import type { RendezvousEvents } from './events.ts'
import { IdChangeLimits } from './id-change-limits.ts'
import { type IdentityStore, StoreUnavailableError } from './identity-store.ts'
import type { PeerId } from './peer-identity.ts'
import type { RegistrationLimiter } from './registration-limits.ts'
import type { RegistrationLimits } from './settings.ts'

const { Result } = rendezvous.RegisterPkResponse

/** Changes that may wait for the store at once. */
const MAX_PENDING = 1_000

const RESULTS: Readonly<Record<IdChangeOutcome, rendezvous.RegisterPkResponse.Result>> = {
  changed: Result.OK,
  invalid: Result.INVALID_ID_FORMAT,
  // Shown as an unknown error; a device that only changes its id does not throw it away.
  not_its_own: Result.UUID_MISMATCH,
  taken: Result.ID_EXISTS,
  too_many_changes: Result.TOO_FREQUENT,
  too_many_new_ids: Result.TOO_FREQUENT,
  too_many_wrong_proofs: Result.TOO_FREQUENT,
  too_many_lookups: Result.TOO_FREQUENT,
  later: Result.TOO_FREQUENT,
  not_supported: Result.NOT_SUPPORT,
  uncertain: Result.SERVER_ERROR,
  busy: Result.SERVER_ERROR,
  store_unavailable: Result.SERVER_ERROR,
}

export interface IdChangerParts {
  /** `off`: the operator gives ids. */
  readonly mode: 'on' | 'off'
  readonly holdMs: number
  readonly identities: IdentityStore
  readonly admissions: Admissions
  readonly limiter: RegistrationLimiter
  readonly limits: RegistrationLimits
  readonly isHidden: (ip: string) => boolean
  /** The device is not reached under its old id any more. */
  readonly onChanged: (from: PeerId, to: PeerId) => void
  readonly counters: Counters
  readonly events: RendezvousEvents
  readonly clock: Clock
}

/** Gives devices the ids that their users want (docs/protocol.md, change of id). */
export class IdChanger {
  readonly #limits: IdChangeLimits
  #pending = 0

  constructor(private readonly parts: IdChangerParts) {
    this.#limits = new IdChangeLimits(parts.isHidden)
  }

  /** RegisterPk with an old id. Resolves with what the client is to be told; never rejects for want of the store. */
  async change(message: rendezvous.RegisterPk, from: Endpoint): Promise<rendezvous.RegisterPkResponse.Result> {
    const { counters, events } = this.parts
    const outcome = await this.#change(message, from).catch((error: unknown): IdChangeOutcome => {
      if (!(error instanceof StoreUnavailableError)) throw error
      events.unavailable('registration', error)
      return 'store_unavailable'
    })
    counters.idChanges[outcome]++
    return RESULTS[outcome]
  }

  async #change({ id, oldId, uuid }: rendezvous.RegisterPk, from: Endpoint): Promise<IdChangeOutcome> {
    const { mode, limits, limiter, events, clock } = this.parts
    const { ip } = from
    if (mode === 'off') return 'not_supported'
    if (!isAcceptableNewId(id, limits)) return 'invalid'
    if (!this.#limits.admitProof(ip, clock())) {
      events.limitHit('wrong-uuids-per-minute', ip)
      return 'too_many_wrong_proofs'
    }
    if (!limiter.admitLookup({ ...from, uuid }, clock())) {
      events.limitHit('lookups-per-minute', ip)
      return 'too_many_lookups'
    }
    if (this.#pending >= MAX_PENDING) return 'busy'
    this.#pending++
    try {
      const knownIp = this.parts.isHidden(ip) ? undefined : ip
      const change = { from: oldId as PeerId, to: id as PeerId, uuid: Uint8Array.from(uuid), ip: knownIp }
      return await this.#rename(change, from)
    } finally {
      this.#pending--
    }
  }

  async #rename(change: IdChange, from: Endpoint): Promise<IdChangeOutcome> {
    const { identities, admissions, limiter, holdMs, onChanged, events, clock } = this.parts
    const { uuid, to } = change
    const { ip } = from
    const [current, target] = await Promise.all([identities.find(change.from), identities.find(to)])
    const decision = decideIdChange(change, { current, target })
    switch (decision) {
      case 'done':
        return 'changed'
      case 'not-its-own':
        return this.#refuse(change, from)
      case 'taken':
      case 'uncertain':
      case 'later':
        return decision
      case 'rename':
        break
      default:
        return decision satisfies never
    }
    if (!this.#limits.admitChange(uuid, clock())) {
      events.limitHit('id-changes', ip)
      return 'too_many_changes'
    }
    // A name that is kept from others counts like one that is registered.
    const admission = target ? 'admitted' : limiter.admitNewId({ ...from, uuid }, to, clock())
    if (admission !== 'admitted') {
      events.limitHit(admission, ip)
      return 'too_many_new_ids'
    }
    const outcome = await identities.rename({ from: change.from, to, uuid, holdMs })
    if (outcome === 'taken') return 'taken'
    if (outcome === 'not-its-own') return this.#refuse(change, from)
    this.#limits.changed(uuid, clock())
    admissions.renamed(change.from, to)
    onChanged(change.from, to)
    events.idChanged(change.from, to, from)
    return 'changed'
  }

  #refuse({ from }: IdChange, endpoint: Endpoint): IdChangeOutcome {
    const { events, clock } = this.parts
    this.#limits.wrongProof(endpoint.ip, clock())
    events.idChangeRefused(from, endpoint)
    return 'not_its_own'
  }
}
