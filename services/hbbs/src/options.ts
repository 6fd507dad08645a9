import { networkInterfaces } from 'node:os'
import { DEFAULT_REGISTRATION_LIMITS, withPort } from '@tryst/rendezvous'
import type { HbbsConfig } from '@tryst/service'
import { DEFAULT_RECEIVE_BUFFER_BYTES, type HbbsOptions } from './hbbs.ts'

/** What clients add to a relay that is named without a port, whatever the ID server's port is. */
const DEFAULT_RELAY_PORT = 21_117

/** Of all connections: the rest is for controllers, and for what devices answer. */
const KEPT_SHARE = 0.9

/** How the settings of an operator become those of the parts. */
export function hbbsOptions(config: HbbsConfig, expectedKey: string | undefined): HbbsOptions {
  return {
    port: config.port,
    bind: config.bind,
    reusePort: config.reusePort,
    receiveBufferBytes: config.rmemBytes || DEFAULT_RECEIVE_BUFFER_BYTES,
    textConsole: config.console ? 'on' : 'off',
    firstMessageTimeoutMs: config.firstMessageTimeoutMs,
    maxMessageBytes: config.firstMessageMaxBytes,
    connectionsPerSource: config.connectionsPerSource,
    connectionsTotal: config.connectionsTotal,
    trustedProxies: config.trustedProxies,
    proxyProtocol: config.proxyProtocol,
    settings: {
      accessMode: config.accessMode,
      allowControl: config.allowControl,
      expectedKey,
      relayServers: config.relayServers,
      relayRules: config.relayRules,
      // Our own relay, where clients derive it themselves when they are told nothing.
      fallbackRelay: config.publicHost === undefined ? '' : withPort(config.publicHost, config.port + 1),
      relayPort: DEFAULT_RELAY_PORT,
      alwaysUseRelay: config.alwaysUseRelay,
      lan: config.mask === undefined ? undefined : { cidr: config.mask, localIp: config.localIp ?? firstLocalIp() },
      serial: config.serial,
      rendezvousServers: config.rendezvousServers,
      softwareUrl: config.softwareUrl,
      apiPathPrefix: config.apiPublicUrl === undefined ? '' : pathOf(config.apiPublicUrl),
      maxDevices: config.maxDevices,
      idChanges: config.idChanges ? 'on' : 'off',
      oldIdHoldMs: config.oldIdHoldMs,
      healClones: config.healClones,
      keepAliveMs: config.keepAliveMs,
      maxKeptDevices: Math.floor(config.connectionsTotal * KEPT_SHARE),
      limits: {
        ...DEFAULT_REGISTRATION_LIMITS,
        idMaxBytes: config.idMaxBytes,
        uuidMaxBytes: config.uuidMaxBytes,
        newIdsPerWindow: config.newIdsPerMinute,
        newIdsPerDay: config.newIdsPerDay,
        lookupsPerMinute: config.lookupsPerMinute,
      },
    },
  }
}

/** Where the API is asked for clients; undefined: nowhere. */
export function apiUrl({ apiUrl, port }: Pick<HbbsConfig, 'apiUrl' | 'port'>): string | undefined {
  if (apiUrl === 'none') return undefined
  return apiUrl ?? `http://127.0.0.1:${port - 2}`
}

/** Without the `/` at its end. */
const pathOf = (url: string) => new URL(url).pathname.replace(/\/$/, '')

/** The first IPv4 address of this machine that is not loopback. */
function firstLocalIp(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
}
