import { Reader } from 'protobufjs/minimal.js'
import { ProtocolError } from './errors.ts'
import { session } from './generated/session.js'

export { session } from './generated/session.js'

export type OutgoingSessionMessage = session.Message.$Properties
export type SessionMessage = session.Message

export const encodeSession = (message: OutgoingSessionMessage): Uint8Array => session.Message.encode(message).finish()

/** @throws ProtocolError when the bytes are no message of a peer session */
export function decodeSession(bytes: Uint8Array): SessionMessage {
  const reader = Reader.create(bytes)
  reader.discardUnknown = false
  try {
    return session.Message.decode(reader)
  } catch (cause) {
    throw new ProtocolError('not a message of a peer session', { cause })
  }
}
