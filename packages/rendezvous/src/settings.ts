import type { ControlRule } from './control-access.ts'
import type { AccessMode } from './device-access.ts'
import type { RelayRule } from './relay-rules.ts'

/** What the ID server is told by its operator; see docs/configuration.md. */
export interface RendezvousSettings {
  /** Which devices that nobody knows yet may register; default `open`. */
  readonly accessMode?: AccessMode
  /** Whether devices may give themselves other ids; default `on`. */
  readonly idChanges?: 'on' | 'off'
  /** How long nobody else gets an id that a device has given up; default DEFAULT_OLD_ID_HOLD_MS. */
  readonly oldIdHoldMs?: number
  /** Whether the later one of two devices with one identity is made to draw another id; default false. */
  readonly healClones?: boolean
  /** Who may ask for devices; default `anyone`. */
  readonly allowControl?: ControlRule
  /** What controllers have to present; undefined: nothing is checked. */
  readonly expectedKey: string | undefined
  /** `host:port`, in the operator's order; when empty, announced relays are offered, then `fallbackRelay`. */
  readonly relayServers: readonly string[]
  /** Where `relayServers` is empty: relays by the address of the client, before announced ones. The first that fits. */
  readonly relayRules: readonly RelayRule[]
  /** `PUBLIC_HOST:port`, or empty: clients then take the ID server's host with its port + 1. */
  readonly fallbackRelay: string
  /** Port that belongs to a relay given without one. */
  readonly relayPort: number
  readonly alwaysUseRelay: boolean
  /** Devices inside this network meet through `localIp`; undefined: there is no such network. */
  readonly lan: { readonly cidr: string; readonly localIp: string } | undefined
  /** Version of the server list, and the list (docs/protocol.md, server list). */
  readonly serial: number
  readonly rendezvousServers: readonly string[]
  /** Where old clients download a newer one; empty: nowhere. */
  readonly softwareUrl: string
  /** In front of the API's paths where clients know it by a URL with a path. */
  readonly apiPathPrefix?: string
  readonly limits: RegistrationLimits
  /** How often clients that keep a connection open hear from this server, as they are told. */
  readonly keepAliveMs: number
  /** Devices that are reached over connections at most: the rest of the connections is for those that come and go. */
  readonly maxKeptDevices: number
  /** Devices that one node keeps in memory at most. */
  readonly maxDevices: number
}

export interface RegistrationLimits {
  readonly idMaxBytes: number
  readonly uuidMaxBytes: number
  /** New ids from one source address: this many within `newIdWindowMs` of one another, after the first. */
  readonly newIdsPerWindow: number
  readonly newIdWindowMs: number
  /** Different new ids from one source address in a day. */
  readonly newIdsPerDay: number
  /** Accepted changes of one device's key in a row; the next has to wait `keyChangePauseMs`. */
  readonly keyChangesInARow: number
  readonly keyChangePauseMs: number
  /** Registrations from one source address that may be looked up in a minute. */
  readonly lookupsPerMinute: number
  /** How long a source that was told UUID_MISMATCH is not told again. */
  readonly mismatchSilenceMs: number
}

/** The reference's limits, and ours where it has none. */
export const DEFAULT_REGISTRATION_LIMITS: RegistrationLimits = Object.freeze({
  idMaxBytes: 100,
  uuidMaxBytes: 256,
  newIdsPerWindow: 31,
  newIdWindowMs: 60_000,
  newIdsPerDay: 300,
  keyChangesInARow: 3,
  keyChangePauseMs: 7_000,
  lookupsPerMinute: 2_000,
  mismatchSilenceMs: 30_000,
})

/** Long enough for whoever has the old id in an address book to find out. */
export const DEFAULT_OLD_ID_HOLD_MS = 86_400_000

/** Ids shorter than this are refused with UUID_MISMATCH, on which stock clients draw another id. */
export const MIN_REGISTERED_ID_BYTES = 6
