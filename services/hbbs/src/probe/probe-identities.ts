import { createHmac, randomBytes } from 'node:crypto'
import { createDeviceIdentity, type DeviceIdentity } from '@tryst/client'
import { probeId } from '@tryst/service'
import { PROBE_TRANSPORTS, type ProbeTransport } from './probe-round.ts'

const TAG_DIGITS = 8

/**
 * The devices of the probe of one node. The same at every start, so that they do not become more and more.
 *
 * @param secretKey of the server; undefined: they are drawn anew
 */
export function probeIdentities(
  secretKey: Uint8Array = randomBytes(32),
  node: string,
): Readonly<Record<ProbeTransport, DeviceIdentity>> {
  const derive = (what: string) => createHmac('sha256', secretKey).update(`tryst probe ${node} ${what}`).digest()
  const tag = derive('id').toString('hex').slice(0, TAG_DIGITS)
  const identities = PROBE_TRANSPORTS.map((transport) => {
    const uuid = new TextEncoder().encode(derive(`uuid ${transport}`).toString('hex').slice(0, 32))
    const seed = derive(`key ${transport}`)
    return [transport, createDeviceIdentity({ id: probeId(transport, tag), uuid, seed })] as const
  })
  return Object.fromEntries(identities) as Record<ProbeTransport, DeviceIdentity>
}
