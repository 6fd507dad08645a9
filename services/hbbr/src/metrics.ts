import type { CountedWarnings, Metrics } from '@tryst/service'
import type { ProxyHeaderFailure } from '@tryst/transport'
import type { Hbbr } from './hbbr.ts'
import type { RelayTrace } from './relay-trace.ts'

/** What an operator sees of the relay (docs/operating.md, metrics). */
export function describeMetrics(
  metrics: Metrics,
  hbbr: Hbbr,
  headerFailures: CountedWarnings<ProxyHeaderFailure>,
): void {
  const { relay, guard, eventLog } = hbbr
  const { counters } = relay
  metrics.level({
    name: 'tryst_relay_pairs',
    help: 'Sessions that are relayed now.',
    read: () => relay.pairCount,
  })
  metrics.level({
    name: 'tryst_relay_waiting',
    help: 'Connections that wait for their partner.',
    read: () => relay.waitingCount,
  })
  metrics.level({
    name: 'tryst_relay_unticketed',
    help: 'Connections whose ticket has not come yet, or is being looked up.',
    read: () => relay.unticketedCount,
  })
  metrics.level({
    name: 'tryst_relay_joined',
    help: 'Connections that are joined with one on another relay, which counts the session.',
    read: () => relay.joinedCount,
  })
  metrics.level({
    name: 'tryst_relay_load_bits_per_second',
    help: 'What is carried, both directions together, mean of the last seconds.',
    read: () => hbbr.loadBitsPerSecond,
  })
  metrics.level({
    name: 'tryst_relay_draining',
    help: '1 as soon as the relay was told to stop.',
    read: () => (hbbr.isDraining ? 1 : 0),
  })
  metrics.level({
    name: 'tryst_relay_connections',
    help: 'Connections, TCP and WebSocket.',
    read: () => guard.connections,
  })
  metrics.total({
    name: 'tryst_relay_arrivals_total',
    help: 'Connections that were accepted.',
    read: () => counters.arrived,
  })
  metrics.total({
    name: 'tryst_relay_paired_total',
    help: 'Sessions whose two sides have met.',
    read: () => counters.paired,
  })
  metrics.total({
    name: 'tryst_relay_dialled_total',
    help: 'Sessions among them whose other side is on another relay.',
    read: () => counters.dialled,
  })
  metrics.total({
    name: 'tryst_relay_joined_total',
    help: 'Connections that were joined with one on another relay, which counts the session.',
    read: () => counters.joined,
  })
  metrics.total({
    name: 'tryst_relay_handed_over_total',
    help: 'Connections that were given to another worker of this program, where their partner waited.',
    read: () => counters.handedOver,
  })
  metrics.total({
    name: 'tryst_relay_taken_over_total',
    help: 'Connections that another worker of this program has accepted and given to this one.',
    read: () => counters.takenOver,
  })
  metrics.total({
    name: 'tryst_relay_joined_bytes_total',
    help: 'Payload that was passed on for sessions that another relay counts.',
    read: () => counters.bytesJoined,
  })
  metrics.total({
    name: 'tryst_relay_bytes_total',
    help: 'Payload that was passed on, both directions together.',
    read: () => counters.bytesRelayed,
  })
  metrics.total({
    name: 'tryst_relay_downgraded_total',
    help: 'Sessions that were slowed down because they used much for long.',
    read: () => counters.downgraded,
  })
  metrics.totals({
    name: 'tryst_relay_turned_away_total',
    help: 'Connections that ended before they were half of a session, by reason.',
    label: 'reason',
    read: () => counters.turnedAway,
  })
  metrics.totals({
    name: 'tryst_relay_pairs_ended_total',
    help: 'Sessions that ended, by reason.',
    label: 'reason',
    read: () => counters.pairsEnded,
  })
  metrics.totals({
    name: 'tryst_relay_limit_hits_total',
    help: 'Connections that a limit pushed out or refused.',
    label: 'limit',
    read: () => eventLog.limitHits,
  })
  metrics.totals({
    name: 'tryst_relay_proxy_header_failures_total',
    help: 'Connections of trusted proxies closed for want of a PROXY protocol header.',
    label: 'reason',
    read: () => headerFailures.counts,
  })
}

/** What tryst trace will find of this relay. */
export function describeTrace(metrics: Metrics, { events, writer }: RelayTrace): void {
  metrics.totals({
    name: 'tryst_relay_traced_sessions_total',
    help: 'Sessions with something new within a second: those that are noted for tryst trace, and those that were too many.',
    label: 'trace',
    read: () => events.counts,
  })
  metrics.totals({
    name: 'tryst_trace_parts_total',
    help: 'What this relay noted of sessions within a second each: written down or handed to the ID server, or lost.',
    label: 'outcome',
    read: () => writer.counts,
  })
}
