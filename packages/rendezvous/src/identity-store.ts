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
  /**
   * The device has given this id up for that one. Until it is free the id is held for the device: nobody else gets it,
   * and the device may have it back. All else is as it was when it was given up.
   */
  readonly movedTo?: PeerId
}

/** A device that registers for the first time; the store draws the guid. */
export type NewPeerIdentity = Omit<PeerIdentity, 'guid'>

/** A device takes another id. */
export interface Renaming {
  readonly from: PeerId
  readonly to: PeerId
  /** As stored for `from`: what the device proves itself by. */
  readonly uuid: Uint8Array
  /** For so long nobody else gets the old id. */
  readonly holdMs: number
}

/**
 * `not-its-own`: nobody has the old id, somebody with another uuid, or it was given up already. `taken`: another device
 * has the new id, or it is held for one.
 */
export type RenameOutcome = 'renamed' | 'taken' | 'not-its-own'

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
   * new one (`created`), or that of whoever has the id. An id that is held goes to the device with its uuid only.
   */
  create(identity: NewPeerIdentity): Promise<{ readonly created: boolean; readonly identity: FoundIdentity }>

  /**
   * Sets the key and address of a device, if it still is as `current` says (uuid and key). False when it has changed
   * meanwhile or is gone: look it up again.
   */
  update(current: PeerIdentity, change: { readonly publicKey: Uint8Array; readonly ip: string }): Promise<boolean>

  /**
   * Gives a device another id, which nobody has or the same device (by its uuid) has already or gave up. The guid goes
   * along. Where it fails, the device has its old id, or may have it back. Asked again it says the same again. May take
   * a few seconds.
   */
  rename(renaming: Renaming): Promise<RenameOutcome>

  /** The id is free from now on. False: nobody had it. */
  remove(id: PeerId): Promise<boolean>

  /** Waits for what was accepted to be on disk, then lets go of everything. May be called twice. */
  close(): Promise<void>
}
