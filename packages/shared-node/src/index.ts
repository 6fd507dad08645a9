export { exposeSharedNode } from './metrics.ts'
export { openRedis, SharedStateError, sharedStateError } from './open-redis.ts'
export { redisSettings } from './redis-settings.ts'
export { SharedNode, type SharedNodeOptions } from './shared-node.ts'
