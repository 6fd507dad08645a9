import { ProtocolError } from './errors.ts'
import { RECORD_OVERHEAD_BYTES, SESSION_KEY_BYTES } from './record-layer.ts'
import { sodium } from './sodium.ts'

/** A pair for crypto_box, 32 bytes each; fresh for every connection. */
export interface BoxKeyPair {
  readonly publicKey: Uint8Array
  readonly secretKey: Uint8Array
}

export function createBoxKeyPair(): BoxKeyPair {
  const { publicKey, privateKey } = sodium.crypto_box_keypair()
  return { publicKey, secretKey: privateKey }
}

/** The pair of a fixed secret key. @param secretKey 32 bytes */
export function boxKeyPairOf(secretKey: Uint8Array): BoxKeyPair {
  return { publicKey: sodium.crypto_scalarmult_base(secretKey), secretKey }
}

export const createSessionKey = (): Uint8Array => sodium.randombytes_buf(SESSION_KEY_BYTES)

/** Both pairs are used for one message only, so the nonce may be constant. */
const ZERO_NONCE = new Uint8Array(24)

/**
 * A session key that only `theirs` can read.
 *
 * @returns 48 bytes
 * @throws ProtocolError when `theirs` is a key of small order, which shares its secret with everybody
 */
export function sealSessionKey(sessionKey: Uint8Array, theirs: Uint8Array, ours: BoxKeyPair): Uint8Array {
  try {
    return sodium.crypto_box_easy(sessionKey, ZERO_NONCE, theirs, ours.secretKey)
  } catch (cause) {
    throw new ProtocolError('nothing can be sealed for this public key', { cause })
  }
}

/** @throws ProtocolError when it was not sealed by `theirs` for us, or is no session key */
export function openSessionKey(
  sealed: Uint8Array | null | undefined,
  theirs: Uint8Array,
  ours: BoxKeyPair,
): Uint8Array {
  if (sealed?.length !== SESSION_KEY_BYTES + RECORD_OVERHEAD_BYTES) throw new ProtocolError('no sealed session key')
  try {
    return sodium.crypto_box_open_easy(sealed, ZERO_NONCE, theirs, ours.secretKey)
  } catch (cause) {
    throw new ProtocolError('the sealed session key does not open', { cause })
  }
}
