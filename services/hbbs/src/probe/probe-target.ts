import { type HbbsConfig, type LoadedKeyPair, nodeLabel } from '@tryst/service'
import { probeIdentities } from './probe-identities.ts'
import type { ProbeTarget } from './probe-round.ts'

/** What the settings say about how this server is reached from its own machine. */
export function probeTarget(config: HbbsConfig, keys: LoadedKeyPair): ProbeTarget {
  const { probeRelay: relay, bind } = config
  const isEverywhere = bind === undefined || bind === '0.0.0.0' || bind === '::'
  return {
    host: config.probeHost ?? (isEverywhere ? '127.0.0.1' : bind),
    port: config.port,
    key: keys.expectedKey,
    relayServer: relay && (relay.port === undefined ? relay.host : `${bracketed(relay.host)}:${relay.port}`),
    signs: keys.signer !== undefined,
    alwaysRelays: config.alwaysUseRelay,
    identities: probeIdentities(keys.secretKey, nodeLabel(config)),
  }
}

const bracketed = (host: string) => (host.includes(':') ? `[${host}]` : host)
