import type { Admissions } from './admissions.ts'
import type { RendezvousEvents } from './events.ts'
import type { FoundIdentity, IdentityStore } from './identity-store.ts'
import type { PeerId } from './peer-identity.ts'
import { type Registration, sameBytes } from './register-pk.ts'

export interface HeldIdsParts {
  readonly identities: IdentityStore
  readonly admissions: Pick<Admissions, 'isOpen' | 'renamed'>
  readonly events: RendezvousEvents
  /** How long an id is held that a device gives up. */
  readonly holdMs: number
  /** Whether the device is online, here or on another node. */
  readonly isOnline: (id: PeerId) => Promise<boolean>
}

/** Ids that devices have given up for others and may have back (docs/protocol.md, change of id). */
export class HeldIds {
  constructor(private readonly parts: HeldIdsParts) {}

  /**
   * The device that gave this id up registers under it. Either it was not told that it has another one (the answer was
   * lost, or somebody else asked for it): then the change is taken back. Or it is another machine with the same image,
   * and the other one is online: then each keeps its own.
   *
   * @returns what stands at the id now; undefined: it is a new device to the operator, who has to be asked
   */
  async takeBack(held: FoundIdentity & { readonly movedTo: PeerId }): Promise<FoundIdentity | undefined> {
    const { identities, admissions, events, holdMs, isOnline } = this.parts
    const { id, movedTo, uuid, publicKey, ip } = held
    const isTakenBack =
      !(await isOnline(movedTo)) && (await identities.rename({ from: movedTo, to: id, uuid, holdMs })) === 'renamed'
    if (isTakenBack) admissions.renamed(movedTo, id)
    // Two ids for one device: whoever has approved one has not approved the other.
    else if (!admissions.isOpen) return undefined
    else await identities.create({ id, uuid, publicKey, ip })
    events.idTakenBack(id, movedTo)
    return identities.find(id)
  }
}

/** Whether this is the device that gave the id up: its uuid alone is no secret. */
export function isHeldFor(
  found: FoundIdentity | undefined,
  { uuid, publicKey, ip }: Registration,
): found is FoundIdentity & { readonly movedTo: PeerId } {
  if (found?.movedTo === undefined || !sameBytes(found.uuid, uuid)) return false
  return found.ip === ip || sameBytes(found.publicKey, publicKey)
}
