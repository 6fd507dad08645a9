import type { AccessMode, DeployToken, ListedDevice, ListingReason, PeerId } from '@tryst/rendezvous'

/** What an operator is shown of a device. */
export interface DeviceRow {
  readonly id: PeerId
  /** `known`: it is registered. The others are not, or with another key. */
  readonly state: 'known' | 'pending' | 'approved' | 'refused' | 'invited'
  /** Undefined where nobody can tell. */
  readonly online?: boolean
  /** Where it registered, or asked, from last; empty: nowhere yet. */
  readonly ip: string
  readonly note: string
  /** When it was first seen, in ms since 1970; undefined: not known. */
  readonly sinceMs?: number
  /** Of those that need somebody's word: when they asked last. */
  readonly lastSeenMs?: number
  readonly why?: ListingReason
  /** Fingerprints of uuid and key. */
  readonly uuid?: string
  readonly key?: string
}

export const DEVICE_STATES = ['known', 'pending', 'approved', 'refused', 'invited'] as const

/** Why something was not done. `unavailable`: nothing is known of the outcome. */
export type RefusalCode = 'not-found' | 'ambiguous' | 'taken' | 'invalid' | 'unavailable'

/** What an operator asked for cannot be done; the message says why, and what to do. */
export class AdministrationError extends Error {
  override readonly name = 'AdministrationError'

  constructor(
    readonly code: RefusalCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

export interface TokenLimits {
  /** Undefined: a name is drawn. */
  readonly name?: string | undefined
  /** Undefined: it does not lapse. */
  readonly lifetimeMs?: number | undefined
  /** Undefined: any number of devices. */
  readonly uses?: number | undefined
}

/** A token without its hash, as operators see it. */
export type TokenRow = Omit<DeployToken, 'hash'>

/** What stock clients post to `/api/devices/deploy`. */
export interface DeployRequest {
  readonly token: string
  readonly id: string
  /** Base64. */
  readonly uuid: string
  readonly pk: string
}

/** The words that stock clients know; `bad-token`: it is none of ours, has lapsed or is used up. */
export type DeployResult = 'OK' | 'NOT_ENABLED' | 'INVALID_INPUT' | 'ID_TAKEN' | 'bad-token'

/** Done, and whether every server knows: one that does not goes on with what it remembers for a while. */
export interface Done {
  readonly untold?: string
}

/**
 * What operators do with devices (docs/access.md). Every method rejects with an AdministrationError where it does
 * nothing.
 */
export interface Administration {
  /** All devices, or those in one state; those that wait for a word first. */
  list(state?: DeviceRow['state']): AsyncIterable<DeviceRow>
  /** @param fingerprint of the uuid or its beginning, where several devices ask for the id */
  approve(id: string, fingerprint?: string): Promise<ListedDevice>
  refuse(id: string, fingerprint?: string): Promise<ListedDevice>
  /** Lets the first device in that asks for the id. */
  invite(id: string): Promise<{ readonly mode: AccessMode }>
  /** Forgets the device; it is offline at once, and registers anew only where it may. */
  remove(id: string): Promise<Done>
  rename(id: string, to: string): Promise<Done>
  /** An empty note removes it. */
  note(id: string, note: string): Promise<void>
  createToken(limits: TokenLimits): Promise<TokenRow & { readonly token: string }>
  tokens(): Promise<readonly TokenRow[]>
  revokeToken(name: string): Promise<void>
  /** Registers a device before it comes. */
  deploy(request: DeployRequest): Promise<DeployResult>
  close(): Promise<void>
}
