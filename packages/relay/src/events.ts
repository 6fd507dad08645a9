import type { Endpoint } from '@tryst/protocol'
import type { RequestRefusal } from './relay-request.ts'

/** Why a connection ended before it was half of a pair. */
export const ARRIVAL_ENDS = [
  'malformed',
  'not_a_request',
  'key_mismatch',
  'uuid_missing',
  'first_message_too_large',
  'first_message_timeout',
  'pair_timeout',
  'left',
  'blocked_address',
  'waiting_source_full',
  'waiting_total_full',
  'unticketed_source_full',
  'unticketed_total_full',
  'no_ticket',
  'wrong_device',
  'ticket_used',
  'broker_unavailable',
  'partner_unreachable',
  'draining',
] as const
export type ArrivalEnd = (typeof ARRIVAL_ENDS)[number] | RequestRefusal

/** Why a pair ended. */
export const PAIR_ENDS = ['closed', 'idle', 'write_blocked', 'malformed_frame', 'blocked_address', 'draining'] as const
export type PairEnd = (typeof PAIR_ENDS)[number]

/** What an operator may want to know of; written to the log by the service. */
export interface RelayEvents {
  /** The first half of a session waits. */
  waiting(uuid: string, from: Endpoint): void
  /**
   * @param first undefined: it is on another relay
   * @param device that the session is with, as the controller says; empty where only the device's half is here
   */
  paired(uuid: string, second: Endpoint, mode: PairMode, first: Endpoint | undefined, device: string): void
  /** A half that waited here was joined with one on another relay, which limits and counts the session. */
  joined(uuid: string, local: Endpoint, mode: PairMode): void
  /** A half was given to a relay on this host, where its partner waits. */
  handedOver(uuid: string, half: Endpoint): void
  /** Other relays and ID servers cannot be asked, for a reason that nobody foresaw. */
  brokerFailed(error: unknown): void
  /**
   * A connection ended that never was half of a pair.
   *
   * @param uuid empty where it named no session, or found no place to wait for its partner
   */
  turnedAway(reason: ArrivalEnd, from: Endpoint, uuid: string): void
  pairEnded(reason: PairEnd, second: Endpoint, ageMs: number, totalBits: number, uuid: string): void
  downgraded(second: Endpoint, thresholdBitsPerMs: number, ageMs: number): void
}

/** Bytes pass untouched between two TCP connections; with a WebSocket on either side whole messages do. */
export type PairMode = 'raw' | 'messages'
