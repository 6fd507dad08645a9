import type { Endpoint } from '@tryst/protocol'
import type { ControlDecision } from './control-access.ts'
import type { ListingReason } from './device-access.ts'
import type { PeerId } from './peer-identity.ts'

/** A limit that was hit; each has its setting and remedy in docs/configuration.md. */
export type LimitName =
  | 'new-ids-per-minute'
  | 'new-ids-per-day'
  | 'key-changes'
  | 'lookups-per-minute'
  | 'uuid-mismatch-silence'
  | 'devices'
  | 'devices-on-connections'
  | 'id-changes'
  | 'wrong-uuids-per-minute'
  | 'pending-registrations'
  | 'sessions-per-minute'

/** One side of a contradiction. */
export interface Contradicting {
  readonly uuid: Uint8Array
  readonly publicKey: Uint8Array
  /** Plain; empty when it is not known. */
  readonly ip: string
}

/** What an operator may want to know of; written to the log by the service. */
export interface RendezvousEvents {
  registered(id: PeerId, from: Endpoint, how: 'created' | 'key_changed' | 'moved'): void
  /** A registration that names somebody else's id, or pretends to be somebody. */
  uuidMismatch(id: string, from: Endpoint): void
  /**
   * The store has another device for this id than the one that was acknowledged before: an operator has to decide which
   * of the two keeps it.
   */
  identityContradicted(id: PeerId, from: Endpoint, registering: Contradicting, stored: Contradicting): void
  /**
   * A device was told NOT_DEPLOYED: it waits for the operator's word, or is not wanted.
   *
   * @param registeredFrom where the device registered from that has the id; empty: nobody has it
   */
  notAdmitted(
    id: PeerId,
    from: Endpoint,
    refusal: { readonly why: ListingReason; readonly waits: boolean; readonly registeredFrom: string },
  ): void
  /** Somebody with the right key may not ask for devices. */
  controlRefused(id: string, from: Endpoint, why: Exclude<ControlDecision, 'allowed'>): void
  /**
   * Somebody with the uuid of a device has neither its key nor its address, and waits for the operator's word. For
   * fail2ban: its form in the log is stable.
   *
   * @param registeredFrom where the device registered last; empty where that is not known
   */
  newKeyRefused(id: PeerId, from: Endpoint, registeredFrom: string): void
  /**
   * Two machines have the same id, uuid and key, as after an image was copied.
   *
   * @param original where the first one is: its address, its IP only, or `elsewhere` on another node
   * @param isHealed the later one is made to draw another id
   */
  cloneFound(id: PeerId, newcomer: Endpoint, original: string, isHealed: boolean): void
  /** A device has another id from now on. */
  idChanged(before: PeerId, after: PeerId, from: Endpoint): void
  /** A device goes on under an id that it had given up. */
  idTakenBack(id: PeerId, instead: PeerId): void
  /** Somebody without its uuid wanted to give a device another id. For fail2ban: its form in the log is stable. */
  idChangeRefused(id: string, from: Endpoint): void
  /** For fail2ban: its form in the log is stable. */
  keyMismatch(id: string, from: Endpoint): void
  ipChanged(id: PeerId, fromIp: string, toIp: string): void
  serverListUpdated(serial: number, servers: readonly string[]): void
  limitHit(limit: LimitName, source: string): void
  /** A store, another node or the API could not be asked; the client was told SERVER_ERROR, nothing, or so. */
  unavailable(what: 'registration' | 'request' | 'answer' | 'presence' | 'ticket' | 'api', cause: unknown): void
}
