import { type Signer, signIdentity } from '@tryst/protocol'
import { boundedTable } from './bounded-table.ts'
import type { Cluster } from './cluster.ts'
import { type IdentityStore, StoreUnavailableError } from './identity-store.ts'
import type { PeerId } from './peer-identity.ts'
import { sameBytes } from './register-pk.ts'

/** Signatures that are kept; about 350 bytes each. */
const MAX_KEPT = 20_000
const NOTHING = new Uint8Array(0)

interface Kept {
  readonly publicKey: Uint8Array
  readonly signed: Uint8Array
}

/**
 * What controllers need to trust a device: its id and key, signed by the server. Ed25519 is deterministic, so a
 * signature is made once for a key. Empty where the server signs nothing or the device is unknown.
 */
export class SignedIdentities {
  readonly #kept = boundedTable<Kept>(MAX_KEPT)

  constructor(
    private readonly signer: Signer | undefined,
    private readonly identities: IdentityStore,
    private readonly cluster: Pick<Cluster, 'isAlone'>,
  ) {}

  /** The signature if it is at hand; undefined: ask `find`, since the key may have changed on another node. */
  peek(id: PeerId): Uint8Array | undefined {
    if (!this.signer) return NOTHING
    return this.cluster.isAlone ? this.#kept.get(id)?.signed : undefined
  }

  /** While the store is away the last signature is taken for the right one. @throws StoreUnavailableError */
  async find(id: PeerId): Promise<Uint8Array> {
    if (!this.signer) return NOTHING
    const kept = this.#kept.get(id)
    try {
      const identity = await this.identities.find(id)
      if (!identity) return NOTHING
      const { publicKey } = identity
      if (kept && sameBytes(kept.publicKey, publicKey)) return kept.signed
      const signed = signIdentity(this.signer, id, publicKey)
      this.#kept.set(id, { publicKey: Uint8Array.from(publicKey), signed })
      return signed
    } catch (error) {
      if (kept && error instanceof StoreUnavailableError) return kept.signed
      throw error
    }
  }

  /** The device's key has changed, or may have. */
  forget(id: PeerId): void {
    this.#kept.delete(id)
  }
}
