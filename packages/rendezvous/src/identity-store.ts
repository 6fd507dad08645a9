import type { PeerId, PeerIdentity } from './peer-identity.ts'

/** The store could not do what it was asked for; nothing is known about the outcome. Never means "no such peer". */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError'
}

/** A device that registers for the first time; the store draws the guid. */
export type NewPeerIdentity = Omit<PeerIdentity, 'guid'>

/**
 * The durable identities of devices. Every promise that resolves says what the store has accepted; every failure is a
 * StoreUnavailableError. Byte arrays that are handed over may be views: a store keeps copies.
 */
export interface IdentityStore {
  /** Undefined when nobody has this id. */
  find(id: PeerId): Promise<PeerIdentity | undefined>

  /**
   * Stores a new device unless its id is taken, in one atomic step, and resolves with the identity that stands now: the
   * new one (`created`), or that of whoever has the id.
   */
  create(identity: NewPeerIdentity): Promise<{ readonly created: boolean; readonly identity: PeerIdentity }>

  /**
   * Sets the key and address of a device, if it still is as `current` says (uuid and key). False when it has changed
   * meanwhile or is gone: look it up again.
   */
  update(current: PeerIdentity, change: { readonly publicKey: Uint8Array; readonly ip: string }): Promise<boolean>

  /** Waits for what was accepted to be on disk, then lets go of everything. May be called twice. */
  close(): Promise<void>
}
