import { type Endpoint, formatIp, parseIp } from '@tryst/protocol'

export interface ForwardingFacts {
  /** The socket's own. */
  readonly remote: Endpoint
  /** Header X-Real-IP. */
  readonly realIp: string | undefined
  /** Header X-Forwarded-For. */
  readonly forwardedFor: string | undefined
  /** Whether what this address says about others is believed. */
  readonly isTrusted: (ip: string) => boolean
}

/**
 * Whose connection it is. Only a trusted proxy is believed: its X-Real-IP, else X-Forwarded-For read from the right,
 * where the nearest proxy wrote, to the first address that is not a trusted proxy itself. A value that can't be read
 * leaves the socket's address. Port 0 when the header names none.
 */
export function forwardedEndpoint({ remote, realIp, forwardedFor, isTrusted }: ForwardingFacts): Endpoint {
  if (!isTrusted(remote.ip)) return remote
  if (realIp !== undefined) return readEndpoint(realIp) ?? remote
  if (forwardedFor === undefined) return remote
  let endpoint = remote
  for (const entry of forwardedFor.split(',').reverse()) {
    const hop = readEndpoint(entry)
    if (!hop) return remote
    endpoint = hop
    if (!isTrusted(hop.ip)) break
  }
  return endpoint
}

/** `203.0.113.7`, `203.0.113.7:50000`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:50000`. */
function readEndpoint(text: string): Endpoint | undefined {
  const value = text.trim()
  const whole = parseIp(value)
  if (whole) return { ip: formatIp(whole), port: 0 }
  const parts = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(value)
  const octets = parseIp(parts?.[1] ?? parts?.[2] ?? '')
  const port = Number(parts?.[3] ?? 0)
  if (!octets || port > 0xffff) return undefined
  return { ip: formatIp(octets), port }
}
