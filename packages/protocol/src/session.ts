export {
  type BoxKeyPair,
  boxKeyPairOf,
  controllerAnswer,
  createBoxKeyPair,
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
export {
  decodeSession,
  encodeSession,
  type OutgoingSessionMessage,
  type SessionMessage,
  session,
} from './session-message.ts'
