import type { Clock } from './connection.ts'
import {
  type AccessMode,
  type AccessStore,
  type DeviceClaim,
  decideAdmission,
  type ListingReason,
} from './device-access.ts'
import type { RendezvousEvents } from './events.ts'
import type { PeerId } from './peer-identity.ts'

export interface AdmissionsParts {
  readonly mode: AccessMode
  readonly access: AccessStore
  readonly clock: Clock
  readonly events: Pick<RendezvousEvents, 'unavailable'>
}

/** Listing one is much work for the store, which looks through the others; and strangers have many addresses. */
const NEW_LISTINGS_PER_SECOND = 20

/** `waiting`, `turned-away`: told NOT_DEPLOYED. `too-many`: it would wait, but enough have been listed for now. */
export type AdmissionOutcome = 'admitted' | 'waiting' | 'turned-away' | 'too-many'

/** Asks for the operator's word on devices that need one (docs/access.md). */
export class Admissions {
  readonly #listings = { sinceMs: Number.NEGATIVE_INFINITY, count: 0 }

  constructor(private readonly parts: AdmissionsParts) {}

  /** Whoever comes may register a new id: nobody has to be asked. */
  get isOpen(): boolean {
    return this.parts.mode === 'open'
  }

  /**
   * Whether the device may register, or go on with a new key; one that may not is put in the list where its mode says
   * so. Rejects with StoreUnavailableError.
   *
   * @param mayList whether a device that is not in the list yet may be put there
   */
  async review(claim: DeviceClaim, why: ListingReason, mayList: () => boolean): Promise<AdmissionOutcome> {
    const { mode, access, clock } = this.parts
    const standing = await access.standing(claim)
    switch (decideAdmission({ mode, why, standing })) {
      case 'admit':
        return 'admitted'
      case 'turn-away':
        return 'turned-away'
      default:
        if (standing !== 'pending' && !(mayList() && this.#mayListOneMore())) return 'too-many'
        await access.enlist(claim, why, clock())
        return 'waiting'
    }
  }

  #mayListOneMore(): boolean {
    const listings = this.#listings
    const nowMs = this.parts.clock()
    if (nowMs - listings.sinceMs >= 1_000 || nowMs < listings.sinceMs) {
      listings.sinceMs = nowMs
      listings.count = 0
    }
    return ++listings.count <= NEW_LISTINGS_PER_SECOND
  }

  /** The device is registered: what let it in is used up. */
  settled(claim: DeviceClaim): void {
    const { access, events } = this.parts
    access.settle(claim).catch((error: unknown) => events.unavailable('registration', error))
  }

  /** The device has another id. */
  renamed(from: PeerId, to: PeerId): void {
    const { access, events } = this.parts
    access.rename(from, to).catch((error: unknown) => events.unavailable('registration', error))
  }
}
