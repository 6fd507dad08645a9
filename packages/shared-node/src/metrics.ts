import type { Metrics } from '@tryst/service'
import type { SharedNode } from './shared-node.ts'

/** Shows what this node has to do with Redis and with other nodes. */
export function exposeSharedNode({ connection, node, redis }: SharedNode, metrics: Metrics): void {
  const { counters } = connection
  const total = (name: string, help: string, read: () => number) => metrics.total({ name, help, read })
  const level = (name: string, help: string, read: () => number) => metrics.level({ name, help, read })
  total('tryst_redis_commands_total', 'Commands sent to Redis', () => counters.commands)
  total('tryst_redis_timeouts_total', 'Commands that Redis did not answer in time', () => counters.timeouts)
  metrics.totals({
    name: 'tryst_redis_refused_total',
    help: 'Commands that were not sent',
    label: 'reason',
    read: () => ({ away: counters.refusedAway, queue_full: counters.refusedQueueFull }),
  })
  level('tryst_redis_up', '1 while Redis answers', () => (connection.state === 'up' ? 1 : 0))
  metrics.levels({
    name: 'tryst_redis_problems',
    help: 'Settings of Redis that are not as they have to be, by how much is at stake',
    label: 'severity',
    read: () => redis.problems,
  })
  level('tryst_node_lease', '1 while the other nodes count this one among the living', () => (node.hasLease ? 1 : 0))
  level('tryst_nodes', 'Other nodes in sight', () => node.others.size)
  level('tryst_announced_relays', 'Relays that announced themselves', () => node.relays.length)
}
