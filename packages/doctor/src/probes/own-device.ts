import { type Device, echo, Device as OwnDevice, type ServerSettings } from '@tryst/client'
import type { rendezvous } from '@tryst/protocol'
import { ownIdentity } from '../own-identity.ts'

/** What became of a registration. */
export type RegistrationAnswer =
  | 'online'
  | 'silence'
  | 'idTaken'
  | { readonly result: rendezvous.RegisterPkResponse.Result }

export const OWN_PASSWORD = 'doctor'

/** Registers this machine as a device that sends back what it gets. The device lives until it is closed. */
export async function registerOwnDevice(
  server: ServerSettings,
  transport: 'tcp' | 'websocket',
  limitMs: number,
): Promise<{ readonly device: Device; readonly answer: RegistrationAnswer }> {
  const device = new OwnDevice({
    server,
    transport,
    identity: ownIdentity(),
    password: OWN_PASSWORD,
    hostname: 'tryst-doctor',
    natType: transport === 'tcp' ? 'asymmetric' : 'symmetric',
    onSession: echo,
  })
  const answer = new Promise<RegistrationAnswer>((resolve) => {
    const timer = setTimeout(() => resolve('silence'), limitMs)
    const settle = (outcome: RegistrationAnswer) => {
      clearTimeout(timer)
      resolve(outcome)
    }
    device.on('status', (status) => {
      if (status === 'online') settle('online')
    })
    device.on('idChanged', () => settle('idTaken'))
    device.on('registerPkAnswered', (result) => {
      if (result !== 0) settle({ result })
    })
    device.on('failure', () => undefined)
  })
  void device.start().catch(() => undefined)
  return { device, answer: await answer }
}
