/**
 * What is remembered of attempts: punch requests and relay requests of controllers (docs/operating.md, trace). Ids,
 * addresses and times; nothing of what is said in a session.
 */

/** What the ID servers see. */
export const ATTEMPT_STEPS = [
  /** The controller asked, or asked again on the same connection. */
  'asked',
  'asked_again',
  /** It was told no. `what`: why. */
  'refused',
  /** It was told nothing, so that it asks again. `what`: why. */
  'unanswered',
  /** The device was told. `what`: of what; `over`: how it is reached; `node`: on which other node. */
  'pushed',
  /** The node of the device told it, for another one. */
  'passed_on',
  /** The device has not been heard of for too long, or is not where it was. */
  'not_pushed',
  /** The device answered. `what`: how; `relay`: the one that it names. */
  'answered',
  /** Relays know of the session. `session`: its name. */
  'ticket',
  /** The connection of the controller ended. `what`: whether a device had answered. */
  'left',
] as const
export type AttemptStepName = (typeof ATTEMPT_STEPS)[number]

/** What the relays see of a session. */
export const RELAY_STEPS = [
  /** The first side waits. */
  'waiting',
  /** Both sides are here, or one is on another relay. */
  'paired',
  /** A side was joined with one that came to another relay, which counts the session. */
  'joined',
  /** A side was given to another worker, where the other waits. */
  'handed_over',
  /** A side was sent away, or left, before it met the other. `what`: why. */
  'turned_away',
  /** The session is over. `what`: why. */
  'ended',
] as const
export type RelayStepName = (typeof RELAY_STEPS)[number]

export interface TraceStep {
  readonly atMs: number
  readonly step: AttemptStepName | RelayStepName
  readonly what?: string
  /** Where from, or where to. */
  readonly address?: string
  /** Where the side comes from that was joined with the one at `address`. */
  readonly partner?: string
  readonly over?: string
  readonly node?: string
  readonly relay?: string
  readonly session?: string
  readonly bytes?: number
  readonly lastedMs?: number
}

/** What one node saw of one attempt or session within about a second. */
export interface TracePart {
  /** Of its first step, ms since 1970. */
  readonly atMs: number
  /** What the operator calls the node. */
  readonly node: string
  readonly role: 'id-server' | 'relay'
  /** Relays know no code. */
  readonly code?: string
  /** The name of the session, where it is relayed and the name is known. */
  readonly session?: string
  /** Which device was asked for; relays don't know. */
  readonly id?: string
  /** Who asked for what; the node that the controller is connected to knows. */
  readonly asked?: { readonly kind: 'punch' | 'relay'; readonly from: string; readonly over: string }
  readonly steps: readonly TraceStep[]
}

/** Where parts are kept for a while. Bounded: the oldest go first. */
export interface TraceStore {
  /** Rejects with StoreUnavailableError; what was not written is lost. */
  write(parts: readonly TracePart[]): Promise<void>
  /** The latest first. */
  read(): AsyncIterable<TracePart>
  close(): Promise<void>
}

/** Parts that are kept at most: about two for an attempt, 500 bytes each. */
export const MAX_TRACE_PARTS = 20_000
