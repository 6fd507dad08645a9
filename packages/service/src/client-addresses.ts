import { isIP } from 'node:net'
import type { NetworkInterfaceInfo } from 'node:os'
import ipaddr from 'ipaddr.js'

/** An address that a client could be given, and how far away such a client may be. */
export interface ClientAddress {
  readonly host: string
  readonly reach: 'everywhere' | 'own network' | 'this machine'
}

/**
 * What clients can be given as their ID server, best first: `publicHost` alone when it is set, else the machine's
 * own addresses, of which public ones come before private ones and IPv4 before IPv6.
 */
export function clientAddresses(
  publicHost: string | undefined,
  interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>,
): readonly ClientAddress[] {
  if (publicHost !== undefined) return [{ host: publicHost, reach: reachOf(publicHost) }]
  const own = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, scopeid }) => !internal && !scopeid)
    .map(({ address }) => ({ host: address, reach: reachOf(address) }))
  return own.length === 0 ? [{ host: '127.0.0.1', reach: 'this machine' }] : own.sort(byReachThenFamily)
}

/** `host` or `host:port`: clients add the usual port themselves. */
export function asClientSetting(host: string, port: number, usualPort = 21116): string {
  if (port === usualPort) return host
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
}

function reachOf(host: string): ClientAddress['reach'] {
  const bare = host.replace(/^\[(?<ip>.*)\](:\d+)?$/, '$<ip>').replace(/^(?<ip>\d+(\.\d+){3}):\d+$/, '$<ip>')
  if (/^localhost(:\d+)?$/i.test(bare)) return 'this machine'
  if (!ipaddr.isValid(bare)) return 'everywhere'
  const range = ipaddr.process(bare).range()
  if (range === 'loopback' || range === 'unspecified') return 'this machine'
  return range === 'unicast' ? 'everywhere' : 'own network'
}

function byReachThenFamily(a: ClientAddress, b: ClientAddress): number {
  const reaches = ['everywhere', 'own network', 'this machine']
  return reaches.indexOf(a.reach) - reaches.indexOf(b.reach) || isIP(a.host) - isIP(b.host)
}
