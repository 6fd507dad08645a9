import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { createDeviceIdentity, type DeviceIdentity } from '@tryst/client'

/** All ids of doctors begin with it: an operator knows them in a list of devices. */
export const ID_PREFIX = 'doctor_'

const ID_DIGITS = 9

/**
 * The device as which this machine registers: the same at every run, so that however often a server is examined from
 * here, it stores one device.
 */
export function ownIdentity(): DeviceIdentity {
  const seed = createHash('sha256').update(`tryst doctor\n${hostname()}\n${machineId()}`).digest()
  const digits = (seed.readUInt32BE(0) % 10 ** ID_DIGITS).toString().padStart(ID_DIGITS, '0')
  const uuid = createHash('sha256').update('uuid\n').update(seed).digest().subarray(0, 16)
  return createDeviceIdentity({ id: `${ID_PREFIX}${digits}`, uuid, seed })
}

function machineId(): string {
  for (const path of ['/etc/machine-id', '/var/lib/dbus/machine-id']) {
    try {
      return readFileSync(path, 'utf8')
    } catch {
      // Containers, and systems other than Linux, have none.
    }
  }
  return ''
}
