import { decodeRendezvous, isSameKey, ProtocolError, type rendezvous } from '@tryst/protocol'

export type RequestDecision =
  | { readonly kind: 'accept'; readonly uuid: string; readonly device: string; readonly role: HalfRole }
  | { readonly kind: 'refuse'; readonly reason: RequestRefusal }

/** Which end of the session a half is: a controller names the device that it wants, a device names nobody. */
export type HalfRole = 'controller' | 'device'

export type RequestRefusal = 'malformed' | 'not_a_request' | 'key_mismatch' | 'uuid_missing'

const refuse = (reason: RequestRefusal): RequestDecision => ({ kind: 'refuse', reason })

/**
 * What becomes of a connection's first message. Only the key and the uuid count: any text that is not empty is a name
 * for a session (docs/protocol.md, relay).
 *
 * @param expectedKey undefined: anybody may use this relay
 */
export function decideRequest(payload: Uint8Array, expectedKey: string | undefined): RequestDecision {
  const request = readRequest(payload)
  if (typeof request === 'string') return refuse(request)
  if (expectedKey !== undefined && !isSameKey(expectedKey, request.licenceKey)) return refuse('key_mismatch')
  if (request.uuid === '') return refuse('uuid_missing')
  return { kind: 'accept', uuid: request.uuid, device: request.id, role: request.id === '' ? 'device' : 'controller' }
}

function readRequest(payload: Uint8Array): rendezvous.RequestRelay | 'malformed' | 'not_a_request' {
  try {
    const message = decodeRendezvous(payload)
    if (message.union !== 'requestRelay') return 'not_a_request'
    return message.requestRelay as rendezvous.RequestRelay
  } catch (error) {
    if (error instanceof ProtocolError) return 'malformed'
    throw error
  }
}
