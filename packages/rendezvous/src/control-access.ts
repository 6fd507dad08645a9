import type { ClientConnection } from './connection.ts'

/**
 * Who may ask for devices, besides presenting the key: everybody, whoever comes from a network in which a device is
 * online here, or whoever has signed in (docs/access.md).
 */
export const CONTROL_RULES = ['anyone', 'registered', 'signed-in'] as const
export type ControlRule = (typeof CONTROL_RULES)[number]

/** Somebody with an account. */
export interface ControlAccount {
  readonly userName: string
}

/** Whose the token in a request is, and what that person may do. Without accounts it is nobody's. */
export interface ControlAccounts {
  /** Undefined: the token is nobody's, or no longer. Rejects with StoreUnavailableError. */
  find(token: string): Promise<ControlAccount | undefined>
}

/** What is known of a request. */
export interface ControlFacts {
  readonly rule: ControlRule
  /** A device is online here, on whichever node, at the request's address (IPv6: in its /64). */
  readonly hasDeviceInNetwork: boolean
  readonly account: ControlAccount | undefined
}

export type ControlDecision = 'allowed' | 'not-registered' | 'not-signed-in'

/** Whether somebody may ask for devices, and for whether they are online. */
export function decideControl({ rule, hasDeviceInNetwork, account }: ControlFacts): ControlDecision {
  switch (rule) {
    case 'anyone':
      return 'allowed'
    case 'registered':
      return hasDeviceInNetwork ? 'allowed' : 'not-registered'
    case 'signed-in':
      return account ? 'allowed' : 'not-signed-in'
    default:
      return rule satisfies never
  }
}

/** What a controller shows. Clients do not try again by themselves after a text with "not allowed". */
export const CONTROL_REFUSALS: Readonly<Record<Exclude<ControlDecision, 'allowed'>, string>> = {
  'not-registered':
    'Connecting is not allowed from this network: none of the devices of this server is online in it. Ask the operator',
  'not-signed-in': 'Connecting is not allowed without signing in. Ask the operator for an account',
}

/** What is decided for a request. */
export interface ControlRequest {
  readonly initiator: ClientConnection
  /** Empty where the client has none, or the request has no place for it. */
  readonly token: string
}
