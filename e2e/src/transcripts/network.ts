import { execFileSync, spawnSync } from 'node:child_process'
import { isIPv6 } from 'node:net'
import type { ScriptedClient, TranscriptFile } from './transcript.ts'

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

/** Gives the loopback device of this namespace every address that a transcript mentions. */
export function addRecordedAddresses(file: Pick<TranscriptFile, 'groups'>): void {
  const clients = file.groups.flatMap(({ transcripts }) =>
    transcripts.flatMap((one) => Object.values(one.clients ?? {})),
  )
  const all = new Set([...SERVER_ADDRESSES, ...clients.map(({ ip }) => ip)])
  const added = [...all].filter((ip) => !ip.startsWith('127.') && ip !== '::1')
  const lines = added.map((ip) => `addr add ${ip}/${isIPv6(ip) ? '128' : '32'} dev lo${isIPv6(ip) ? ' nodad' : ''}`)
  execFileSync('ip', ['-batch', '-'], { input: ['link set lo up', ...lines, ''].join('\n') })
}

/** The address at which a client finds the servers: of its own family, loopback from loopback. */
export function serverAddressFor({ ip, to }: Pick<ScriptedClient, 'ip' | 'to'>): string {
  if (to !== undefined) return to
  return isIPv6(ip) ? '2001:db8::1' : '198.51.100.1'
}
