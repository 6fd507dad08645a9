export { checkRedis, checkRedisItself, type RedisProblem, recheckRedis } from './check-redis.ts'
export {
  type ArchivedIdentity,
  type Imported,
  type ImportOutcome,
  RedisIdentityArchive,
} from './identity-archive.ts'
export {
  exportCompletely,
  type ImportOptions,
  ImportStoppedError,
  importPatiently,
} from './identity-import.ts'
export { PEER_BUCKETS, peerBucket, RedisKeys } from './keys.ts'
export { NodeAnswers } from './node-answers.ts'
export type { LinkAnswers, LinkTarget, NodeLinksPort } from './node-links-port.ts'
export { RedisOnlooker } from './onlooker.ts'
export { RedisAccessStore } from './redis-access-store.ts'
export { RedisCluster, type RedisClusterParts } from './redis-cluster.ts'
export {
  type KeyedCommand,
  RedisConnection,
  type RedisEvent,
  RedisUnreachableError,
  type ScriptCall,
} from './redis-connection.ts'
export {
  type RedisIdentityEvents,
  RedisIdentityStore,
  type RedisIdentityStoreOptions,
} from './redis-identity-store.ts'
export type { RedisReply } from './redis-lane.ts'
export { drawIncarnation, type KnownNode, type NodeFacts, RedisNode, type RedisNodeEvents } from './redis-node.ts'
export { RedisRelayAnnouncer, RedisRelayDirectory } from './redis-relay-directory.ts'
export { defineScript, type RedisScript } from './redis-script.ts'
export {
  type IntroducedSession,
  RedisSessions,
  type RedisSessionsParts,
  RedisTickets,
  TICKET_LIFETIME_MS,
} from './redis-sessions.ts'
export { RedisTraceStore } from './redis-trace-store.ts'
export { claimServerKey, readServerKey } from './server-key.ts'
export {
  DEFAULT_COMMAND_TIMEOUT_MS,
  DEFAULT_MAX_QUEUED_COMMANDS,
  DEFAULT_NODE_LEASE_MS,
  DEFAULT_REDIS_PREFIX,
  DEFAULT_SENTINEL_NAME,
  type RedisAddress,
  type RedisSettings,
} from './settings.ts'
