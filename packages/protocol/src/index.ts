export {
  type Endpoint,
  formatEndpoint,
  formatIp,
  mangleAddress,
  normaliseIp,
  parseIp,
  type UnmangledAddress,
  unmangleAddress,
} from './address.ts'
export { decodeBase64, encodeBase64 } from './base64.ts'
export { type ClientConfig, decodeClientConfig, encodeClientConfig } from './client-config.ts'
export { ProtocolError } from './errors.ts'
export { forwarded } from './forwarded.ts'
export { encodeFrame, FrameDecoder, frameHeader, MAX_FRAME_PAYLOAD_BYTES, writeFrame } from './frame.ts'
export { type Heartbeat, readHeartbeat } from './heartbeat.ts'
export {
  combinedSignature,
  encodeIdPk,
  PUBLIC_KEY_BYTES,
  SECRET_KEY_BYTES,
  SIGNATURE_BYTES,
  type Signer,
  signIdentity,
} from './identity.ts'
export {
  decodeRendezvous,
  encodeRendezvous,
  type OutgoingRendezvousMessage,
  type RendezvousMembers,
  type RendezvousMessage,
  rendezvous,
} from './rendezvous-message.ts'
export { isSameKey } from './same-key.ts'
export { sourcePrefix } from './source-prefix.ts'
