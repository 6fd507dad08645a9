import { rendezvous } from '@tryst/protocol'
import type { DeviceIdentity } from './device-identity.ts'
import { isMessage, type Network, RendezvousLink } from './rendezvous-link.ts'
import { idServer } from './service-address.ts'
import { CONNECT_LIMIT_MS } from './stock-client.ts'

const { Result } = rendezvous.RegisterPkResponse

/** What a user is told who wants another id for the device. */
export type ChangeIdOutcome =
  | 'changed'
  | 'invalidFormat'
  | 'notAvailable'
  | 'tooFrequent'
  | 'notSupported'
  | 'serverError'
  | 'unknownError'

const OUTCOMES: Readonly<Record<number, ChangeIdOutcome>> = {
  [Result.OK]: 'changed',
  [Result.ID_EXISTS]: 'notAvailable',
  [Result.TOO_FREQUENT]: 'tooFrequent',
  [Result.NOT_SUPPORT]: 'notSupported',
  [Result.SERVER_ERROR]: 'serverError',
  [Result.INVALID_ID_FORMAT]: 'invalidFormat',
}

/** An ASCII letter, then 5 to 15 characters of Unicode's word class or hyphens. */
const CUSTOM_ID = /^[A-Za-z][\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}-]{5,15}$/u

/** What stock clients let their users type. */
export const isCustomId = (id: string): boolean => CUSTOM_ID.test(id)

/**
 * Asks the server for another id (docs/protocol.md, change of id). An id that no client would ask for is refused
 * without asking.
 *
 * @throws LinkError when there is no connection
 */
export async function requestId(
  network: Network,
  { id: oldId, uuid }: Pick<DeviceIdentity, 'id' | 'uuid'>,
  id: string,
  signal?: AbortSignal,
): Promise<ChangeIdOutcome> {
  if (!isCustomId(id)) return 'invalidFormat'
  const link = await RendezvousLink.open(network, idServer(network.server), { signal })
  try {
    link.send({ registerPk: { id, oldId, uuid } })
    const answer = await link.receiveSkippingKeyExchange(CONNECT_LIMIT_MS)
    const response = isMessage(answer) ? answer.registerPkResponse : undefined
    return (response && OUTCOMES[response.result ?? Result.OK]) ?? 'unknownError'
  } finally {
    await link.close()
  }
}
