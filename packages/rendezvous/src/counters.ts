/** What became of registrations. */
export const REGISTRATION_OUTCOMES = [
  'confirmed',
  'created',
  'moved',
  'key_changed',
  'uuid_mismatch',
  'clone_refused',
  'uuid_contradicted',
  'uuid_uncertain',
  'mismatch_silence',
  'too_many_new_ids',
  'too_many_key_changes',
  'waits_for_approval',
  'not_admitted',
  'too_many_lookups',
  'invalid',
  'ignored',
  'not_supported',
  'table_full',
  'connection_closed',
  'store_unavailable',
  'busy',
] as const
export type RegistrationOutcome = (typeof REGISTRATION_OUTCOMES)[number]

/** What became of changes of id. */
export const ID_CHANGE_OUTCOMES = [
  'changed',
  'invalid',
  'not_its_own',
  'taken',
  'too_many_changes',
  'too_many_new_ids',
  'too_many_wrong_proofs',
  'too_many_lookups',
  'later',
  'not_supported',
  'uncertain',
  'busy',
  'store_unavailable',
] as const
export type IdChangeOutcome = (typeof ID_CHANGE_OUTCOMES)[number]

/** What became of requests of controllers, punches and relays alike. */
export const REQUEST_OUTCOMES = [
  'punch',
  'local_address',
  'relay',
  'key_mismatch',
  'unknown_id',
  'offline',
  'not_allowed',
  'too_long',
  'too_many',
  'store_unavailable',
  'node_unavailable',
  'initiator_gone',
] as const
export type RequestOutcome = (typeof REQUEST_OUTCOMES)[number]

/** What became of devices' answers. */
export const ANSWER_OUTCOMES = ['delivered', 'repeated', 'nobody_waits', 'too_many', 'malformed'] as const
export type AnswerOutcome = (typeof ANSWER_OUTCOMES)[number]

/** What became of requests to the API that came over connections to the ID server. */
export const PROXIED_OUTCOMES = ['answered', 'refused', 'busy', 'unavailable'] as const
export type ProxiedOutcome = (typeof PROXIED_OUTCOMES)[number]

/**
 * What became of the encryption that silent clients of the main port are offered. `plain`: the client went on in clear
 * text; `unanswered`: it left, as it does when it has another server's key; `refused`: the answer was not one;
 * `unreadable`: a record did not open.
 */
export const KEY_EXCHANGE_OUTCOMES = ['offered', 'encrypted', 'plain', 'refused', 'unanswered', 'unreadable'] as const
export type KeyExchangeOutcome = (typeof KEY_EXCHANGE_OUTCOMES)[number]

/** Why something that arrived was dropped without an answer. */
export const DROP_REASONS = ['malformed', 'unexpected', 'not_loopback', 'unproven_address', 'cut_off'] as const
export type DropReason = (typeof DROP_REASONS)[number]

const zeros = <K extends string>(keys: readonly K[]): Record<K, number> =>
  Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>

/** Plain numbers that the core raises and the metrics read: counting costs a heartbeat nothing. */
export class Counters {
  heartbeats = 0
  keysRequested = 0
  natTests = 0
  udpNatTests = 0
  onlineQueries = 0
  clones = 0
  readonly registrations = zeros(REGISTRATION_OUTCOMES)
  /** RegisterPk by what they came over, whatever became of them. */
  readonly registering = zeros(['udp', 'tcp', 'websocket'])
  readonly idChanges = zeros(ID_CHANGE_OUTCOMES)
  readonly requests = zeros(REQUEST_OUTCOMES)
  readonly answers = zeros(ANSWER_OUTCOMES)
  readonly proxied = zeros(PROXIED_OUTCOMES)
  readonly keyExchanges = zeros(KEY_EXCHANGE_OUTCOMES)
  readonly drops = zeros(DROP_REASONS)

  /** How often a client was told of another, and may go to a relay then. */
  get introduced(): number {
    const { punch, local_address, relay, node_unavailable } = this.requests
    return punch + local_address + relay + node_unavailable + this.answers.delivered
  }
}
