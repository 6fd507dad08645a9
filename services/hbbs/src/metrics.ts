import type { RendezvousServer } from '@tryst/rendezvous'
import { CountedWarnings, type Logger, type Metrics, zeroCounts } from '@tryst/service'
import { PROXY_HEADER_FAILURES, PROXY_HEADER_REMEDY, type ProxyHeaderFailure } from '@tryst/transport'
import { type HbbsLimit, LIMIT_REMEDIES } from './event-log.ts'

/** Shows the core's counters and what it holds. */
export function exposeRendezvous(server: RendezvousServer, metrics: Metrics): void {
  const { counters, presence, kept, introducer, registrar } = server
  metrics.total({ name: 'tryst_heartbeats_total', help: 'Heartbeats accepted', read: () => counters.heartbeats })
  metrics.total({
    name: 'tryst_key_requests_total',
    help: 'Heartbeats answered by asking for the key',
    read: () => counters.keysRequested,
  })
  metrics.total({ name: 'tryst_nat_tests_total', help: 'NAT tests answered', read: () => counters.natTests })
  metrics.total({
    name: 'tryst_udp_nat_tests_total',
    help: 'NAT tests of punch sockets answered',
    read: () => counters.udpNatTests,
  })
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
    name: 'tryst_registrations_by_transport_total',
    help: 'RegisterPk by what they came over',
    label: 'transport',
    read: () => counters.registering,
  })
  metrics.total({
    name: 'tryst_clones_total',
    help: 'Pairs of machines found that share an ID, a uuid and a key',
    read: () => counters.clones,
  })
  metrics.totals({
    name: 'tryst_id_changes_total',
    help: 'Changes of ID by outcome',
    label: 'outcome',
    read: () => counters.idChanges,
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
    name: 'tryst_proxied_requests_total',
    help: 'Requests to the API that came over the main port, by outcome',
    label: 'outcome',
    read: () => counters.proxied,
  })
  metrics.totals({
    name: 'tryst_key_exchanges_total',
    help: 'Clients that waited for the server to speak first were offered encryption: how often, and what came of it',
    label: 'outcome',
    read: () => counters.keyExchanges,
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
    name: 'tryst_live_sessions',
    help: 'Sessions that their controllers, signed in to accounts, say to be alive by a connection to this node',
    read: () => server.kept.sessions,
  })
  metrics.level({
    name: 'tryst_kept_connections',
    help: 'Connections that stay open while their clients have nothing to say',
    read: () => kept.size,
  })
  metrics.level({
    name: 'tryst_devices_kept',
    help: 'Devices that are reached over such a connection',
    read: () => kept.devices,
  })
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

/** Connections of trusted proxies that did not say whose they are. */
export function proxyHeaderFailures(log: Logger, metrics: Metrics): CountedWarnings<ProxyHeaderFailure> {
  const failures = new CountedWarnings({
    log,
    message: 'a connection of a trusted proxy was closed: it has no PROXY protocol header',
    remedy: PROXY_HEADER_REMEDY,
    reasons: PROXY_HEADER_FAILURES,
  })
  metrics.totals({
    name: 'tryst_proxy_header_failures_total',
    help: 'Connections of trusted proxies closed for want of a PROXY protocol header',
    label: 'reason',
    read: () => failures.counts,
  })
  return failures
}
