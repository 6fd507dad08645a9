import { execFileSync, spawnSync } from 'node:child_process'
import { isIPv6 } from 'node:net'
import { freeBase } from '../site/free-ports.ts'
import type { Group, PortRole, ScriptedClient, Step, Transcript } from './transcript.ts'

/** Where a group is replayed: which addresses and ports stand for the recorded ones, and what cannot be played there. */
export interface Network {
  readonly ports: Readonly<Record<PortRole, number>>
  /** The client with the addresses that it has here. */
  place(client: ScriptedClient): ScriptedClient & { readonly to: string }
  canPlay(group: Group, transcript: Transcript): boolean
  canTake(step: Step): boolean
}

const MAIN_PORT = 21116
const SERVER_ADDRESSES = ['198.51.100.1', '2001:db8::1', '10.0.0.1']

/** How to start a process in a network namespace of its own: as root, or as a user who may make user namespaces. */
export function namespaceCommand(): string[] | undefined {
  const candidates = [
    ['unshare', '-n'],
    ['unshare', '-Urn'],
  ]
  return candidates.find(([command, ...args]) => {
    const setUp = ['ip', 'link', 'set', 'lo', 'up']
    return spawnSync(command as string, [...args, ...setUp]).status === 0
  })
}

/** A network namespace whose loopback device has every address that the group mentions. */
export function recordedNetwork(group: Group): Network {
  const clients = group.transcripts.flatMap((one) => Object.values(one.clients ?? {}))
  const all = new Set([...SERVER_ADDRESSES, ...clients.map(({ ip }) => ip)])
  const added = [...all].filter((ip) => !ip.startsWith('127.') && ip !== '::1')
  const lines = added.map((ip) => `addr add ${ip}/${isIPv6(ip) ? '128' : '32'} dev lo${isIPv6(ip) ? ' nodad' : ''}`)
  execFileSync('ip', ['-batch', '-'], { input: ['link set lo up', ...lines, ''].join('\n') })
  const relay = group.options.hbbr ? announcedRelayPort(group.options.hbbs) : MAIN_PORT + 1
  return {
    ports: portsOf(MAIN_PORT, relay),
    place: (client) => ({ ...client, to: client.to ?? (isIPv6(client.ip) ? '2001:db8::1' : '198.51.100.1') }),
    canPlay: () => true,
    canTake: () => true,
  }
}

/** The relay listens where the ID server announces it. */
function announcedRelayPort(hbbs: readonly string[] = []): number {
  const relays = hbbs[hbbs.indexOf('-r') + 1] ?? ''
  return hbbs.includes('-r') ? Number(/^[^,:]+:(\d+)/.exec(relays)?.[1] ?? MAIN_PORT + 1) : MAIN_PORT + 1
}

/**
 * Loopback addresses instead of the recorded ones, and ports that are free, for machines without namespaces. There is
 * only one IPv6 loopback address, loopback has the console where other clients have the protocol, and a heartbeat from
 * there is never a change of address.
 */
export async function loopbackNetwork(): Promise<Network> {
  const main = await freeBase([-1, 0, 1, 2, 3])
  const needRecordedAddresses = ['two-relays', 'dead-relay', 'mask', 'console', 'relay-lists']
  const needOtherThanLoopback = /^console:|loopback|from another IP|blocked address/
  return {
    ports: portsOf(main, main + 1),
    place: (client) => ({ ...client, ip: loopbackFor(client.ip), to: '127.0.0.1' }),
    canPlay: (group, { name, clients = {} }) =>
      !needRecordedAddresses.includes(group.name) &&
      !needOtherThanLoopback.test(name) &&
      Object.values(clients).every(({ ip }) => !isIPv6(ip)),
    canTake: (step) => !('console' in step),
  }
}

/** Different addresses stay different: `203.0.113.9` becomes `127.113.0.9`. */
function loopbackFor(ip: string): string {
  const [a, , c, d] = ip.split('.')
  return a === '127' ? ip : `127.${c === '0' ? a : c}.0.${d}`
}

const portsOf = (main: number, relay: number): Record<PortRole, number> => ({
  main,
  nat: main - 1,
  ws: main + 2,
  relay,
  relayWs: relay + 2,
})
