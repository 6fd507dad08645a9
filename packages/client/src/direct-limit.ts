import type { NatType } from './nat-test.ts'
import { CONNECT_LIMIT_MS } from './stock-client.ts'

const SHORTEST_MS = 1_000

export interface DirectFacts {
  /** The address is one of the device's own network. */
  readonly isLocal: boolean
  readonly deviceNat: NatType
  readonly ownNat: NatType
  /** There is a relay to turn to. */
  readonly hasRelay: boolean
  /** From the PunchHoleRequest to its answer. */
  readonly punchMs: number
  /** Direct attempts to this device that failed before. */
  readonly earlierFailures: number
}

/** How long a controller tries the device's address before it turns to the relay (docs/protocol.md, TCP hole punch). */
export function directConnectLimitMs(facts: DirectFacts): number {
  const { isLocal, deviceNat, ownNat, hasRelay, punchMs, earlierFailures } = facts
  if (isLocal || deviceNat === 'symmetric') return SHORTEST_MS
  if (!hasRelay) return CONNECT_LIMIT_MS
  if (deviceNat === 'asymmetric' && ownNat === 'symmetric') return SHORTEST_MS
  if (deviceNat === 'asymmetric' && ownNat === 'asymmetric') {
    return earlierFailures > 0 ? Math.max(6 * punchMs, SHORTEST_MS) : CONNECT_LIMIT_MS
  }
  return Math.max((earlierFailures > 0 ? 3 : 6) * punchMs, SHORTEST_MS)
}
