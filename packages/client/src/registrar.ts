import type { OutgoingRendezvousMessage, RendezvousMessage } from '@tryst/protocol'
import { rendezvous } from '@tryst/protocol'
import type { DeviceIdentity } from './device-identity.ts'
import type { RegisterPkResult, RegistrationStatus } from './registration.ts'
import { SERVER_LIST_SERIAL } from './stock-client.ts'

/** Keeps a device registered with the ID server, over UDP or over a connection. */
export interface Registrar {
  /** Where the ID server was reached last, if that is known. */
  readonly serverIp: string | undefined
  /** Resolves when the first message has left. */
  start(): Promise<void>
  /** A controller could not verify the device's key: register it anew. */
  unconfirmKey(): void
  close(): Promise<void>
}

/** What a registrar tells its device. */
export interface RegistrarHost {
  readonly identity: DeviceIdentity
  /** The server has this id with another uuid: draw a new one. `identity` has it when this returns. */
  drawNewId(): void
  statusChanged(status: RegistrationStatus): void
  /** The server's answer to RegisterPk. */
  answered(result: rendezvous.RegisterPkResponse.Result): void
  pushed(message: RendezvousMessage): void
  /** There is no secure connection, without which a device does not register over TCP. */
  insecure(error: Error): void
}

export const registerPeer = ({ id }: DeviceIdentity): OutgoingRendezvousMessage => ({
  registerPeer: { id, serial: SERVER_LIST_SERIAL },
})

export const registerPk = ({ id, uuid, publicKey }: DeviceIdentity): OutgoingRendezvousMessage => ({
  registerPk: { id, uuid, pk: publicKey },
})

export function judgeRegisterPk(result: rendezvous.RegisterPkResponse.Result): RegisterPkResult {
  if (result === rendezvous.RegisterPkResponse.Result.OK) return 'ok'
  return result === rendezvous.RegisterPkResponse.Result.UUID_MISMATCH ? 'uuidMismatch' : 'other'
}
