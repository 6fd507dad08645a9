import { Redis } from 'ioredis'
import { clientOptions } from './client-options.ts'
import { type LaneParts, RedisLane } from './redis-lane.ts'
import type { RedisAddress, RedisSettings } from './settings.ts'

/** Which primary holds a key. */
export interface Shards {
  /** Undefined while nobody is known to hold it. */
  laneFor(key: string): RedisLane | undefined
  lanes(): readonly RedisLane[]
  /** A server has said that it does not hold a key: looks up who does. */
  moved(): Promise<void>
  close(): void
}

export type LaneHandlers = Pick<LaneParts, 'counters' | 'epochKey'> & {
  readonly onUp: (lane: RedisLane, probe: Parameters<LaneParts['onUp']>[0]) => void
  readonly onAway: (lane: RedisLane, reason: string) => void
  /** Slots have gone to another server: what it had not received is lost. Only in a Cluster. */
  readonly onFailover: () => void
}

export function openLane(
  settings: RedisSettings,
  name: string,
  handlers: LaneHandlers,
  limits: Pick<LaneParts, 'commandTimeoutMs' | 'maxQueued'>,
  at?: RedisAddress,
): RedisLane {
  const options = clientOptions(settings, name, at)
  const redis = settings.createClient?.(options) ?? new Redis(options)
  const { counters, epochKey, onUp, onAway } = handlers
  const lane: RedisLane = new RedisLane({
    ...{ redis, counters, epochKey, ...limits },
    lookIntervalMs: settings.lookIntervalMs,
    replicasRemovedAfterMs: settings.replicasRemovedAfterMs,
    isCluster: settings.cluster.length > 0,
    label: at ? `Redis at ${at.host}:${at.port}` : 'Redis',
    onUp: (probe) => onUp(lane, probe),
    onAway: (reason) => onAway(lane, reason),
  })
  // What fails here comes as events, and the connection is tried again.
  redis.connect().catch(() => {})
  return lane
}

/** One server, or the primary that Sentinels name: it holds every key. */
export class SingleShard implements Shards {
  constructor(private readonly lane: RedisLane) {}

  laneFor(): RedisLane {
    return this.lane
  }

  lanes(): readonly RedisLane[] {
    return [this.lane]
  }

  async moved(): Promise<void> {}

  close(): void {
    this.lane.close()
  }
}
