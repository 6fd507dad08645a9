import type { Redis } from 'ioredis'
import type { ClientOptions } from './client-options.ts'

/** A server that is asked for others: a Sentinel, or any node of a Redis Cluster. */
export interface RedisAddress {
  readonly host: string
  readonly port: number
}

/** How the shared store is reached, and what this server's keys are called there. */
export interface RedisSettings {
  /**
   * `redis://user:password@host:port/db`, `rediss://` for TLS. With Sentinels or a Cluster only its user, password,
   * database and scheme count.
   */
  readonly url: string
  /** Where to ask for the primary; empty without Sentinel. */
  readonly sentinels: readonly RedisAddress[]
  readonly sentinelName: string
  /** Default: Sentinels are asked without a password. */
  readonly sentinelPassword?: string
  /** Some nodes of a Redis Cluster; empty without one. */
  readonly cluster: readonly RedisAddress[]
  /** Begins every key. */
  readonly prefix: string
  /** How long a node is believed to be alive after it last renewed its lease. */
  readonly nodeLeaseMs: number
  /**
   * True: what is acknowledged has always to reach a replica; false: as long as the primary has some. Default: true with
   * Sentinels.
   */
  readonly requireReplica?: boolean
  /** How often a primary is asked for its replicas and its clock; default 15 s. */
  readonly lookIntervalMs?: number
  /** Default 10 min. */
  readonly replicasRemovedAfterMs?: number
  /** Default 400. A command that takes longer has failed. */
  readonly commandTimeoutMs?: number
  /** Commands that may wait for an answer at once, for each primary; default 10,000. Others are refused. */
  readonly maxQueuedCommands?: number
  /** Makes what speaks to a server; default: ioredis over the network. For simulations. */
  readonly createClient?: (options: ClientOptions) => Redis
}

export const DEFAULT_REDIS_PREFIX = 'tryst:'
export const DEFAULT_SENTINEL_NAME = 'mymaster'
export const DEFAULT_NODE_LEASE_MS = 6_000
export const DEFAULT_COMMAND_TIMEOUT_MS = 400
export const DEFAULT_MAX_QUEUED_COMMANDS = 10_000
