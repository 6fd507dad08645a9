import { type Signer, signIdentity } from '@tryst/protocol'
import { boundedTable } from './bounded-table.ts'
import type { IdentityStore } from './identity-store.ts'
import type { PeerId } from './peer-identity.ts'

/** Signatures that are kept; about 300 bytes each. */
const MAX_KEPT = 20_000
const NOTHING = new Uint8Array(0)

/**
 * What controllers need to trust a device: its id and key, signed by the server. Ed25519 is deterministic, so a
 * signature is made once for a key. Empty where the server signs nothing or the device is unknown.
 */
export class SignedIdentities {
  readonly #kept = boundedTable<Uint8Array>(MAX_KEPT)

  constructor(
    private readonly signer: Signer | undefined,
    private readonly identities: IdentityStore,
  ) {}

  /** The signature if it is at hand; undefined: ask `find`. */
  peek(id: PeerId): Uint8Array | undefined {
    return this.signer ? this.#kept.get(id) : NOTHING
  }

  /** @throws StoreUnavailableError */
  async find(id: PeerId): Promise<Uint8Array> {
    if (!this.signer) return NOTHING
    const identity = await this.identities.find(id)
    if (!identity) return NOTHING
    const signed = signIdentity(this.signer, id, identity.publicKey)
    this.#kept.set(id, signed)
    return signed
  }

  /** The device's key has changed, or may have. */
  forget(id: PeerId): void {
    this.#kept.delete(id)
  }
}
