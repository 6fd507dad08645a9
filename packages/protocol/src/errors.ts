/** Bytes that do not follow the protocol. The only error that decoding throws. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}
