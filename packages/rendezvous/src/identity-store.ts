import type { PeerId, PeerIdentity } from './peer-identity.ts'

/** The store could not do what it was asked for; nothing is known about the outcome. Never means "no such peer". */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError'
}

/**
 * How far an answer of the store can be relied on. `certain`: the store itself said so now. `uncertain`: it comes from
 * memory, or the store has lost data a moment ago; nobody may be told that the id is somebody else's because of it.
 * `contradicted`: what is stored has another uuid or key than what this server acknowledged before.
 */
export type IdentityStanding = 'certain' | 'uncertain' | 'contradicted'

/** A stored device, and how far the answer can be relied on. */
export interface FoundIdentity extends PeerIdentity {
  readonly standing: IdentityStanding
}

/** A device that registers for the first time; the store draws the guid. */
export type NewPeerIdentity = Omit<PeerIdentity, 'guid'>

/**
 * The durable identities of devices. Every promise that resolves says what the store has accepted; every failure is a
 * StoreUnavailableError, within a second, and a write that failed does not happen later. Byte arrays that are handed
 * over may be views: a store keeps copies.
 */
export interface IdentityStore {
  /** Undefined when nobody has this id. */
  find(id: PeerId): Promise<FoundIdentity | undefined>

  /**
   * Stores a new device unless its id is taken, in one atomic step, and resolves with the identity that stands now: the
   * new one (`created`), or that of whoever has the id.
   */
  create(identity: NewPeerIdentity): Promise<{ readonly created: boolean; readonly identity: FoundIdentity }>

  /**
   * Sets the key and address of a device, if it still is as `current` says (uuid and key). False when it has changed
   * meanwhile or is gone: look it up again.
   */
  update(current: PeerIdentity, change: { readonly publicKey: Uint8Array; readonly ip: string }): Promise<boolean>

  /** Waits for what was accepted to be on disk, then lets go of everything. May be called twice. */
  close(): Promise<void>
}
