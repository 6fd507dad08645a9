import { HiddenSources } from '@tryst/rendezvous'
import type { Logger, Metrics } from '@tryst/service'
import { readDefaultGateways } from './default-gateways.ts'

const REMEDY =
  'give the container the network of its host (network_mode: host), or switch its userland-proxy off; behind a load balancer for TCP set PROXY_PROTOCOL=Y; see docs/operating.md, "When the container network hides addresses"'

/** Tells the operator when address translation hides who clients are. */
export function watchSources(log: Logger, metrics: Metrics, gateways = readDefaultGateways): HiddenSources {
  const sources = new HiddenSources({
    gateways,
    onHidden: ({ ips, devices, connections }) =>
      log.error(
        { ips, devices, connections, remedy: REMEDY },
        'all clients seem to have one address: the network in front of this server hides theirs. Hole punching cannot work, and limits count devices instead of addresses',
      ),
    onSeen: (ips) => log.info({ ips }, 'clients have addresses of their own again'),
  })
  metrics.level({
    name: 'tryst_sources_hidden',
    help: '1 while the network in front of this server seems to hide the addresses of clients',
    read: () => (sources.ips.length > 0 ? 1 : 0),
  })
  return sources
}
