import { Reader } from 'protobufjs/minimal.js'
import { ProtocolError } from './errors.ts'
import { rendezvous } from './generated/rendezvous.js'

export { rendezvous } from './generated/rendezvous.js'

/** A message to be sent: exactly one member is set. */
export type OutgoingRendezvousMessage = rendezvous.RendezvousMessage.$Properties
/** A message that was received; `union` names its member, undefined when that is unknown to us. */
export type RendezvousMessage = rendezvous.RendezvousMessage

export const encodeRendezvous = (message: OutgoingRendezvousMessage): Uint8Array =>
  rendezvous.RendezvousMessage.encode(message).finish()

/**
 * Reads one message. Unknown fields are kept and written again when the message is forwarded; nesting is bounded by
 * the library (100 levels).
 *
 * @throws ProtocolError when the bytes are no message
 */
export function decodeRendezvous(bytes: Uint8Array): RendezvousMessage {
  const reader = Reader.create(bytes)
  reader.discardUnknown = false
  try {
    return rendezvous.RendezvousMessage.decode(reader)
  } catch (cause) {
    throw new ProtocolError('not a rendezvous message', { cause })
  }
}
