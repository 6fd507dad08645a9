import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import type { Controller, ControllerSession, Device, DeviceSession } from '@tryst/client'
import { exchange } from '../site/exchange.ts'
import { within } from '../site/wait-until.ts'

export const PASSWORD = 'correct horse'

/** A session, with both of its ends. */
export interface Meeting {
  readonly ours: ControllerSession
  readonly theirs: DeviceSession
}

/** A session through the relay with a device whose password is PASSWORD. @throws ConnectError */
export async function meetAtRelay(controller: Controller, device: Device): Promise<Meeting> {
  const accepted = new Promise<DeviceSession>((resolve) => device.once('session', resolve))
  const ours = await controller.connect(device.id, { password: PASSWORD, forceRelay: true })
  return { ours, theirs: await within('the device has a session', accepted) }
}

/** Whether that many bytes arrive as they left, each way at once. */
export async function carries({ ours, theirs }: Meeting, bytes: number): Promise<boolean> {
  const { forth, back } = await exchange(ours, theirs, bytes)
  return forth.received === forth.sent && back.received === back.sent
}

/** Makes this process believe certificates that `authority` has signed. Returns what undoes it. */
export function trust(authority: string): () => void {
  const before = getCACertificates('default')
  setDefaultCACertificates([...before, authority])
  return () => setDefaultCACertificates(before)
}
