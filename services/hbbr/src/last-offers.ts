import type { KnownNode, RedisNode } from '@tryst/state-redis'

type Node = Pick<RedisNode, 'others' | 'isFresh' | 'intervalMs'>

/** What an ID server did just before it noticed that a relay had withdrawn is known here by then. */
const INTERVALS_UNTIL_KNOWN = 3
const SLACK_MS = 800

/** Whether ID servers may have sent somebody to this relay who has not come yet. */
export class LastOffers {
  #withdrawnMs: number | undefined
  #idServers: ReadonlySet<string> = new Set()
  #departureMs = Number.NEGATIVE_INFINITY

  constructor(
    private readonly node: Node,
    /** Redis' time, and this process' own. */
    private readonly clock: { readonly redisMs: () => number; readonly ownMs: () => number },
  ) {}

  /** From now on Redis names this relay no more. */
  withdrawn(): void {
    this.#withdrawnMs ??= this.clock.ownMs()
  }

  /** To be called whenever the other nodes were looked at: an ID server that has gone took along what it had not said. */
  look(): void {
    const servers = new Set<string>()
    for (const { role, incarnation } of this.node.others.values()) if (role === 'id-server') servers.add(incarnation)
    for (const known of this.#idServers) if (!servers.has(known)) this.#departureMs = this.clock.ownMs()
    this.#idServers = servers
  }

  /** Whether somebody may have been sent here in the last so many milliseconds; where that is not known, somebody may. */
  mayCome(withinMs: number): boolean {
    const knownAfterMs = this.node.intervalMs * INTERVALS_UNTIL_KNOWN + SLACK_MS
    if (this.#withdrawnMs === undefined || this.clock.ownMs() - this.#withdrawnMs < knownAfterMs) return true
    if (!this.node.isFresh || this.clock.ownMs() - this.#departureMs < withinMs) return true
    const sinceMs = this.clock.redisMs() - withinMs
    return [...this.node.others.values()].some((node) => mayHaveOffered(node, sinceMs))
  }
}

const mayHaveOffered = ({ role, offeredMs }: KnownNode, sinceMs: number): boolean =>
  role === 'id-server' && (offeredMs === undefined || offeredMs > sinceMs)
