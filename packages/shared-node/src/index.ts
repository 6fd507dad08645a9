export { exposeSharedNode } from './metrics.ts'
export { openRedis, SharedStateError } from './open-redis.ts'
export { redisSettings } from './redis-settings.ts'
export { SharedNode, type SharedNodeOptions } from './shared-node.ts'
