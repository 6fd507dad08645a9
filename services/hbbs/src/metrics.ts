import type { RendezvousServer } from '@tryst/rendezvous'
import { type Metrics, zeroCounts } from '@tryst/service'
import { type HbbsLimit, LIMIT_REMEDIES } from './event-log.ts'

/** Shows the core's counters and what it holds. */
export function exposeRendezvous(server: RendezvousServer, metrics: Metrics): void {
  const { counters, presence, introducer, registrar } = server
  metrics.total({ name: 'tryst_heartbeats_total', help: 'Heartbeats accepted', read: () => counters.heartbeats })
  metrics.total({
    name: 'tryst_key_requests_total',
    help: 'Heartbeats answered by asking for the key',
    read: () => counters.keysRequested,
  })
  metrics.total({ name: 'tryst_nat_tests_total', help: 'NAT tests answered', read: () => counters.natTests })
  metrics.total({
    name: 'tryst_online_queries_total',
    help: 'Online queries answered',
    read: () => counters.onlineQueries,
  })
  metrics.totals({
    name: 'tryst_registrations_total',
    help: 'RegisterPk by outcome',
    label: 'outcome',
    read: () => counters.registrations,
  })
  metrics.totals({
    name: 'tryst_requests_total',
    help: 'Punch and relay requests by outcome',
    label: 'outcome',
    read: () => counters.requests,
  })
  metrics.totals({
    name: 'tryst_answers_total',
    help: "Devices' answers by outcome",
    label: 'outcome',
    read: () => counters.answers,
  })
  metrics.totals({
    name: 'tryst_drops_total',
    help: 'Messages dropped without an answer',
    label: 'reason',
    read: () => counters.drops,
  })
  metrics.level({ name: 'tryst_devices', help: 'Devices in memory, silent ones included', read: () => presence.size })
  metrics.level({ name: 'tryst_devices_silent', help: 'Devices not heard of for 30 s', read: () => presence.silent })
  metrics.level({
    name: 'tryst_waiting_initiators',
    help: 'Controllers whose connection waits for an answer',
    read: () => introducer.waiting.size,
  })
  metrics.level({
    name: 'tryst_pending_registrations',
    help: 'Registrations that wait for the store',
    read: () => registrar.pending,
  })
}

/** How often each limit was hit; the caller counts. */
export function exposeLimits(metrics: Metrics): Record<HbbsLimit, number> {
  const counts = zeroCounts(Object.keys(LIMIT_REMEDIES) as HbbsLimit[])
  metrics.totals({ name: 'tryst_limit_hits_total', help: 'Limits that were hit', label: 'limit', read: () => counts })
  return counts
}
