import {
  FAILURES_UNTIL_CONNECTING,
  FAILURES_UNTIL_OFFLINE,
  REBIND_INTERVAL_MS,
  REGISTRATION_INTERVAL_MS,
  REGISTRATION_REPEAT_MS,
  REGISTRATION_TICK_MS,
} from './stock-client.ts'

/** `connecting`: answers are missing; `offline`: so many that the server counts as gone. */
export type RegistrationStatus = 'starting' | 'online' | 'connecting' | 'offline'

/** What a device knows about its registration over UDP. Times are those of its clock. */
export interface RegistrationState {
  readonly status: RegistrationStatus
  /** The server has accepted the key; until then RegisterPk is sent instead of RegisterPeer. */
  readonly keyConfirmed: boolean
  /** Ticks, at which the device looks at its registration, are whole seconds after this moment. */
  readonly startedAtMs: number
  readonly answeredAtMs: number | undefined
  /** When the unanswered message left; undefined: nothing is outstanding. */
  readonly sentAtMs: number | undefined
  readonly failures: number
  /** When the server's name was last resolved and the socket bound. */
  readonly boundAtMs: number
}

export const startRegistration = (nowMs: number, keyConfirmed: boolean): RegistrationState => ({
  status: 'starting',
  keyConfirmed,
  startedAtMs: nowMs,
  answeredAtMs: undefined,
  sentAtMs: undefined,
  failures: 0,
  boundAtMs: nowMs,
})

export interface RegistrationStep {
  readonly state: RegistrationState
  readonly send: 'registerPeer' | 'registerPk' | undefined
  /** The server's name is to be resolved again and a new socket to be bound before anything is sent. */
  readonly rebind: boolean
}

/**
 * What a device does at a tick (docs/protocol.md, registration over UDP): it sends when nothing is outstanding and the
 * last answer is old enough, and repeats what was not answered.
 */
export function registrationTick(state: RegistrationState, nowMs: number): RegistrationStep {
  if (nowMs <= dueAfterMs(state)) return { state, send: undefined, rebind: false }
  const failures = state.sentAtMs === undefined ? state.failures : state.failures + 1
  const status =
    failures >= FAILURES_UNTIL_OFFLINE ? 'offline' : failures >= FAILURES_UNTIL_CONNECTING ? 'connecting' : state.status
  const rebind = failures >= FAILURES_UNTIL_OFFLINE && nowMs - state.boundAtMs >= REBIND_INTERVAL_MS
  return {
    state: { ...state, failures, status, sentAtMs: nowMs, boundAtMs: rebind ? nowMs : state.boundAtMs },
    send: state.keyConfirmed ? 'registerPeer' : 'registerPk',
    rebind,
  }
}

/** The moment after which something is to be sent: any, or when a repeat or the next heartbeat is due. */
function dueAfterMs({ sentAtMs, answeredAtMs }: RegistrationState): number {
  if (sentAtMs !== undefined) return sentAtMs + REGISTRATION_REPEAT_MS
  return answeredAtMs === undefined ? Number.NEGATIVE_INFINITY : answeredAtMs + REGISTRATION_INTERVAL_MS
}

/**
 * The tick at which something will be due. Ticks between are of no use, so a device needs no timer of one second.
 * What happens at a tick happens a moment behind it, so 15 s after an answer are over at the sixteenth tick and 3 s
 * without one at the fourth, as seen with stock devices.
 */
export function nextTickAtMs(state: RegistrationState, nowMs: number): number {
  const dueMs = dueAfterMs(state)
  if (dueMs === Number.NEGATIVE_INFINITY) return nowMs
  const ticks = Math.floor((Math.max(dueMs, nowMs) - state.startedAtMs) / REGISTRATION_TICK_MS) + 1
  return state.startedAtMs + ticks * REGISTRATION_TICK_MS
}

/** The answer to RegisterPeer; with `requestPk` the key is sent at once. */
export function registerPeerAnswered(state: RegistrationState, requestPk: boolean, nowMs: number): RegistrationStep {
  const answered = { ...state, failures: 0, answeredAtMs: nowMs, sentAtMs: undefined }
  if (requestPk) return { state: { ...answered, sentAtMs: nowMs }, send: 'registerPk', rebind: false }
  return { state: { ...answered, status: 'online' }, send: undefined, rebind: false }
}

export type RegisterPkResult = 'ok' | 'uuidMismatch' | 'other'

/** The answer to RegisterPk. After `uuidMismatch` the caller has drawn a new id, which is registered at once. */
export function registerPkAnswered(
  state: RegistrationState,
  result: RegisterPkResult,
  nowMs: number,
): RegistrationStep {
  const answered = { ...state, failures: 0, answeredAtMs: nowMs, sentAtMs: undefined }
  switch (result) {
    case 'ok':
      return { state: { ...answered, status: 'online', keyConfirmed: true }, send: undefined, rebind: false }
    case 'uuidMismatch':
      return { state: { ...answered, keyConfirmed: false, sentAtMs: nowMs }, send: 'registerPk', rebind: false }
    case 'other':
      return { state: answered, send: undefined, rebind: false }
  }
}

/** A controller could not verify the device's key: it is registered anew at the next tick. */
export const keyUnconfirmed = (state: RegistrationState): RegistrationState => ({ ...state, keyConfirmed: false })
