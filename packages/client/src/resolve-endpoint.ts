import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { type Endpoint, normaliseIp } from '@tryst/protocol'
import type { HostPort } from './service-address.ts'

/** The address behind a name. */
export async function resolveEndpoint({ host, port }: HostPort): Promise<Endpoint> {
  return { ip: isIP(host) ? normaliseIp(host) : normaliseIp((await lookup(host)).address), port }
}
