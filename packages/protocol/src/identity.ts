/**
 * A secret Ed25519 key that signs; how is left to the platform (Node's own takes 22 µs for an
 * IdPk where libsodium's WebAssembly takes 30).
 */
export interface Signer {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** The 64-byte detached signature of a message. */
  sign(message: Uint8Array): Uint8Array
}

/** Ed25519 secret keys in libsodium's form: 32-byte seed, then the 32-byte public key. */
export const SECRET_KEY_BYTES = 64
export const PUBLIC_KEY_BYTES = 32
export const SIGNATURE_BYTES = 64

const utf8 = new TextEncoder()

function varintLength(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : 4
}

function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = value
  while (rest > 0x7f) {
    bytes[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  bytes[at++] = rest
  return at
}

/** IdPk { 1: id, 2: key } as protobuf; empty fields are left out, as proto3 does. */
export function encodeIdPk(id: string, publicKey: Uint8Array): Uint8Array {
  const fields: [number, Uint8Array][] = [
    [0x0a, utf8.encode(id)],
    [0x12, publicKey],
  ]
  const present = fields.filter(([, value]) => value.length > 0)
  const bytes = new Uint8Array(
    present.reduce((sum, [, value]) => sum + 1 + varintLength(value.length) + value.length, 0),
  )
  let at = 0
  for (const [tag, value] of present) {
    bytes[at++] = tag
    at = writeVarint(bytes, at, value.length)
    bytes.set(value, at)
    at += value.length
  }
  return bytes
}

/** A combined signature: 64 bytes, then the message that they are for. */
export function combinedSignature(signer: Signer, message: Uint8Array): Uint8Array {
  const signed = new Uint8Array(SIGNATURE_BYTES + message.length)
  signed.set(signer.sign(message))
  signed.set(message, SIGNATURE_BYTES)
  return signed
}

/**
 * What the server vouches for: this id has this device key (docs/protocol.md, signed identities).
 *
 * @returns the combined signature of an IdPk
 */
export const signIdentity = (signer: Signer, id: string, devicePublicKey: Uint8Array): Uint8Array =>
  combinedSignature(signer, encodeIdPk(id, devicePublicKey))
