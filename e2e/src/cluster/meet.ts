import { type Controller, type ControllerSession, type Device, type DeviceOptions, echo } from '@tryst/client'
import { eachOf } from '../site/pool.ts'
import type { Cluster } from './cluster.ts'
import { loopbackAddress } from './loopback-address.ts'
import { Pulse } from './pulse.ts'

export const PASSWORD = 'correct horse'

/** Devices that take turns with these addresses (default: each has its own) and echo whatever controllers send, all online. */
export async function startDevices(
  cluster: Cluster,
  count: number,
  { addresses = count, ...options }: Partial<DeviceOptions> & { addresses?: number } = {},
): Promise<Device[]> {
  const places = Array.from({ length: count }, (_, i) => i)
  const devices: Device[] = []
  await eachOf(places, 20, async (i) => {
    const localAddress = loopbackAddress(i % addresses)
    devices[i] = await cluster.device(0, { password: PASSWORD, onSession: echo, localAddress, ...options })
  })
  return devices
}

/** A session that stays: bytes go back and forth over it until it is stopped. */
export async function startPulse(controller: Controller, device: Device, path: 'direct' | 'relay'): Promise<Pulse> {
  return Pulse.of(await connectBy(controller, device.id, path))
}

/** One session: it comes about on this path, carries bytes there and back, and is closed. @throws ConnectError */
export async function meetOnce(controller: Controller, deviceId: string, path: 'direct' | 'relay'): Promise<void> {
  const pulse = Pulse.of(await connectBy(controller, deviceId, path))
  await pulse.stop()
}

async function connectBy(
  controller: Controller,
  deviceId: string,
  path: 'direct' | 'relay',
): Promise<ControllerSession> {
  const session = await controller.connect(deviceId, { password: PASSWORD, forceRelay: path === 'relay' })
  if (session.path === path) return session
  await session.close()
  throw new Error(`the session to ${deviceId} came about on the ${session.path} path, not the ${path} one`)
}
