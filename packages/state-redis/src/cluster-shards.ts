import keySlot from 'cluster-key-slot'
import { Redis } from 'ioredis'
import { clientOptions } from './client-options.ts'
import type { RedisLane } from './redis-lane.ts'
import type { RedisAddress, RedisSettings } from './settings.ts'
import type { Shards } from './shards.ts'

const SLOTS = 16_384
const REFRESH_MS = 30_000
const REFRESH_WHILE_BROKEN_MS = 500
const REFRESH_TIMEOUT_MS = 2_000

type OpenLane = (at: RedisAddress, holdsEpoch: boolean) => RedisLane

/** A range of slots and the primary that holds them; the rest are replicas. */
interface SlotRange {
  readonly first: number
  readonly last: number
  readonly primary: RedisAddress
  readonly replicas: number
}

/**
 * The primaries of a Redis Cluster, one connection each. ioredis' own Cluster sends commands again by itself after a
 * failover; here a command is sent once.
 */
export class ClusterShards implements Shards {
  readonly #settings: RedisSettings
  readonly #label: string
  readonly #openLane: OpenLane
  readonly #onFailover: () => void
  readonly #epochSlot: number
  readonly #lanes = new Map<string, RedisLane>()
  #slots: (RedisLane | undefined)[] = new Array(SLOTS)
  #refreshing: Promise<void> | undefined
  #refreshedAtMs = 0
  readonly #timer: NodeJS.Timeout
  #isClosed = false
  lastError = 'no node of the Cluster has been reached'

  constructor(
    settings: RedisSettings,
    label: string,
    epochKey: string,
    { openLane, onFailover }: { readonly openLane: OpenLane; readonly onFailover: () => void },
  ) {
    this.#settings = settings
    this.#label = label
    this.#openLane = openLane
    this.#onFailover = onFailover
    this.#epochSlot = keySlot(epochKey)
    this.#timer = setInterval(() => this.#tick(), REFRESH_WHILE_BROKEN_MS)
    this.#timer.unref()
    this.#refresh()
  }

  laneFor(key: string): RedisLane | undefined {
    return this.#slots[keySlot(key)]
  }

  lanes(): readonly RedisLane[] {
    return [...this.#lanes.values()]
  }

  async moved(): Promise<void> {
    await this.#refresh()
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#timer)
    for (const lane of this.#lanes.values()) lane.close()
  }

  #tick(): void {
    const isBroken = this.#lanes.size === 0 || this.lanes().some(({ state }) => state !== 'up')
    if (isBroken || performance.now() - this.#refreshedAtMs > REFRESH_MS) this.#refresh()
  }

  #refresh(): Promise<void> {
    this.#refreshing ??= this.#askSlots()
      .then((ranges) => this.#adopt(ranges))
      .catch((error: unknown) => {
        this.lastError = error instanceof Error ? error.message : String(error)
      })
      .finally(() => {
        this.#refreshing = undefined
      })
    return this.#refreshing
  }

  async #askSlots(): Promise<SlotRange[]> {
    for (const lane of this.#lanes.values()) {
      if (lane.state !== 'up') continue
      const [reply] = await lane.send([{ name: 'CLUSTER', args: ['SLOTS'] }])
      const host = lane.remoteAddress?.replace(/:\d+$/, '') ?? ''
      if (!(reply instanceof Error)) return readSlots(reply, host)
    }
    let failure: unknown
    for (const seed of this.#settings.cluster) {
      try {
        return await this.#askSeed(seed)
      } catch (error) {
        failure = error
      }
    }
    throw failure ?? new Error('REDIS_CLUSTER names no node')
  }

  async #askSeed(seed: RedisAddress): Promise<SlotRange[]> {
    const redis = new Redis({
      ...clientOptions(this.#settings, this.#label, seed),
      commandTimeout: REFRESH_TIMEOUT_MS,
      retryStrategy: null,
    })
    let failure: Error | undefined
    redis.on('error', (error) => {
      failure = error
    })
    const tooLate = setTimeout(() => redis.disconnect(), REFRESH_TIMEOUT_MS)
    try {
      await redis.connect()
      return readSlots(await redis.call('CLUSTER', 'SLOTS'), seed.host)
    } catch (error) {
      const { message } = failure ?? (error as Error)
      throw new Error(`${seed.host}:${seed.port}: ${message}`)
    } finally {
      clearTimeout(tooLate)
      redis.disconnect()
    }
  }

  #adopt(ranges: readonly SlotRange[]): void {
    if (this.#isClosed) return
    this.#refreshedAtMs = performance.now()
    const before = this.#slots
    const slots: (RedisLane | undefined)[] = new Array(SLOTS)
    const used = new Set<string>()
    for (const { first, last, primary, replicas } of ranges) {
      const name = `${primary.host}:${primary.port}`
      used.add(name)
      const holdsEpoch = ranges.some(
        (range) =>
          range.primary.host === primary.host &&
          range.primary.port === primary.port &&
          range.first <= this.#epochSlot &&
          this.#epochSlot <= range.last,
      )
      const lane = this.#lanes.get(name) ?? this.#openLane(primary, holdsEpoch)
      this.#lanes.set(name, lane)
      // Those that fail are left out: none says nothing.
      if (replicas > 0) lane.replicas.told(replicas)
      slots.fill(lane, first, last + 1)
    }
    this.#slots = slots
    for (const [name, lane] of this.#lanes) {
      if (used.has(name)) continue
      this.#lanes.delete(name)
      lane.close()
    }
    if (before.some((lane, slot) => lane !== undefined && slots[slot] !== undefined && slots[slot] !== lane))
      this.#onFailover()
  }
}

function readSlots(reply: unknown, askedHost: string): SlotRange[] {
  return (reply as [number, number, [string, number], ...unknown[]][]).map(
    ([first, last, [host, port], ...others]) => ({
      first,
      last,
      primary: { host: host || askedHost, port },
      replicas: others.length,
    }),
  )
}
