import { ARRIVAL_ENDS, type ArrivalEnd, PAIR_ENDS, type PairEnd } from './events.ts'

const zeros = <K extends string>(keys: readonly K[]): Record<K, number> =>
  Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>

/** Plain numbers that the core raises and the metrics read: counting costs a chunk nothing. */
export class RelayCounters {
  arrived = 0
  /** Sessions that came about and are limited and counted here. */
  paired = 0
  /** Those among them whose other half is on another relay. */
  dialled = 0
  /** Halves that waited here and were joined with one on another relay, where their session is counted. */
  joined = 0
  /** Halves that were given to a relay on this host, where their partner waits; and those that came so. */
  handedOver = 0
  takenOver = 0
  downgraded = 0
  bytesRelayed = 0
  /** Passed on for sessions that are counted on another relay. */
  bytesJoined = 0
  readonly turnedAway: Record<ArrivalEnd, number> = zeros(ARRIVAL_ENDS)
  readonly pairsEnded: Record<PairEnd, number> = zeros(PAIR_ENDS)
}
