import { isIP } from 'node:net'
import type { session } from '@tryst/protocol/session'

/** Texts are part of the protocol: controllers match them exactly (docs/protocol.md, login). */
export const LOGIN_TEXTS = {
  wrongPassword: 'Wrong Password',
  offline: 'Offline',
  notAllowed: 'Connection not allowed',
  tooMany: 'Too many wrong attempts',
  oneMinute: 'Please try 1 minute later',
} as const

const MAX_FAILURES = 30
const MAX_FAILURES_PER_MINUTE = 6

/** What a device remembers of failed logins from one address. */
export interface LoginFailures {
  readonly total: number
  /** Clock minute of the last failure. */
  readonly minute: number
  readonly inMinute: number
}

export const NO_FAILURES: LoginFailures = { total: 0, minute: 0, inMinute: 0 }

export function countFailure(failures: LoginFailures, nowMs: number): LoginFailures {
  const minute = Math.floor(nowMs / 60_000)
  const inMinute = failures.minute === minute ? failures.inMinute + 1 : 1
  return { total: failures.total + 1, minute, inMinute }
}

export type LoginDecision =
  /** No answer: somebody at the device might still click "accept". */
  | { readonly kind: 'wait' }
  | { readonly kind: 'accept' }
  | { readonly kind: 'wrongPassword' }
  | { readonly kind: 'refuse'; readonly text: string; readonly closes: boolean }

export interface LoginFacts {
  readonly deviceId: string
  /** `my_id` and session kind of the first attempt on this connection; undefined: this is the first. */
  readonly firstScope: string | undefined
  readonly failures: LoginFailures
  /** Undefined: the device has no password. */
  readonly expectedProof: Uint8Array | undefined
  readonly nowMs: number
}

/** Who asks and for what: may not change between attempts on one connection. */
export const loginScope = (request: session.LoginRequest): string => `${request.myId} ${request.union ?? 'desktop'}`

/** How a device answers a LoginRequest: the steps that need neither a screen nor a person, in the stock order. */
export function decideLogin(request: session.LoginRequest, facts: LoginFacts): LoginDecision {
  if (facts.firstScope !== undefined && facts.firstScope !== loginScope(request)) {
    return { kind: 'refuse', text: LOGIN_TEXTS.notAllowed, closes: true }
  }
  if (request.username !== facts.deviceId && !isAddress(request.username)) {
    return { kind: 'refuse', text: LOGIN_TEXTS.offline, closes: true }
  }
  if (request.password.length === 0) return { kind: 'wait' }
  const { failures } = facts
  if (failures.total > MAX_FAILURES) return { kind: 'refuse', text: LOGIN_TEXTS.tooMany, closes: false }
  if (failures.minute === Math.floor(facts.nowMs / 60_000) && failures.inMinute > MAX_FAILURES_PER_MINUTE) {
    return { kind: 'refuse', text: LOGIN_TEXTS.oneMinute, closes: false }
  }
  const isRight = facts.expectedProof !== undefined && equalBytes(request.password, facts.expectedProof)
  return isRight ? { kind: 'accept' } : { kind: 'wrongPassword' }
}

/** Direct access by address: an IP address, or a name with a port. */
const isAddress = (text: string): boolean => isIP(text) !== 0 || /^[\w.-]+:\d+$/.test(text)

const equalBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])
