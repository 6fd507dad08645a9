export {
  controllerAnswer,
  deviceHello,
  openCombined,
  openIdentity,
  readControllerAnswer,
  type SignedIdentity,
  signCombined,
  signingKeyPairOf,
} from './handshake.ts'
export { hashPassword, passwordProof } from './password.ts'
export { RECORD_OVERHEAD_BYTES, RecordLayer, SESSION_KEY_BYTES } from './record-layer.ts'
export { type BoxKeyPair, boxKeyPairOf, createBoxKeyPair, createSessionKey } from './session-key.ts'
export {
  decodeSession,
  encodeSession,
  type OutgoingSessionMessage,
  type SessionMessage,
  session,
} from './session-message.ts'
