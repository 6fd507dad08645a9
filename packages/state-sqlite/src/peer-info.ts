import { normaliseIp } from '@tryst/protocol'

/** The text that is stored in the column `info`. */
export function peerInfo(ip: string): string {
  return JSON.stringify({ ip })
}

/** The address in a stored `info`, in plain form; empty when it holds none or is not JSON. */
export function ipOfPeerInfo(info: string): string {
  let value: unknown
  try {
    value = JSON.parse(info)
  } catch {
    return ''
  }
  if (typeof value !== 'object' || value === null || !('ip' in value) || typeof value.ip !== 'string') return ''
  return normaliseIp(value.ip)
}
