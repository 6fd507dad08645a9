export { PEER_BUCKETS, peerBucket, RedisKeys } from './keys.ts'
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
export { defineScript, type RedisScript } from './redis-script.ts'
export {
  DEFAULT_COMMAND_TIMEOUT_MS,
  DEFAULT_MAX_QUEUED_COMMANDS,
  DEFAULT_NODE_LEASE_MS,
  DEFAULT_REDIS_PREFIX,
  DEFAULT_SENTINEL_NAME,
  type RedisAddress,
  type RedisSettings,
} from './settings.ts'
