import { parseIp } from './address.ts'

/**
 * What limits for a source address count by: an IPv4 address, or the /64 of an IPv6 address, since whoever has one
 * address of a /64 has them all.
 */
export function sourcePrefix(ip: string): string {
  if (!ip.includes(':')) return ip
  const octets = parseIp(ip)
  if (octets?.length !== 16) return ip
  let prefix = ''
  for (let i = 0; i < 8; i++) prefix += (octets[i] as number).toString(16).padStart(2, '0')
  return `${prefix}/64`
}
