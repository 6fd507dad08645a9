import { ProtocolError } from './errors.ts'
import { encodeIdPk, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from './identity.ts'
import { RecordLayer } from './record-layer.ts'
import { type BoxKeyPair, openSessionKey, sealSessionKey } from './session-key.ts'
import { decodeSession, encodeSession, session } from './session-message.ts'
import { sodium } from './sodium.ts'

/** An id and a key that somebody signed for. */
export interface SignedIdentity {
  readonly id: string
  readonly publicKey: Uint8Array
}

/** An Ed25519 pair in libsodium's form. @param seed 32 bytes */
export function signingKeyPairOf(seed: Uint8Array): { publicKey: Uint8Array; secretKey: Uint8Array } {
  const { publicKey, privateKey } = sodium.crypto_sign_seed_keypair(seed)
  return { publicKey, secretKey: privateKey }
}

/** A combined signature: 64 bytes, then the message. @param secretKey 64 bytes */
export const signCombined = (message: Uint8Array, secretKey: Uint8Array): Uint8Array =>
  sodium.crypto_sign(message, secretKey)

/** The message inside a combined signature, or undefined when the key did not sign it. */
export function openCombined(signed: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  if (signed.length < SIGNATURE_BYTES || publicKey.length !== PUBLIC_KEY_BYTES) return undefined
  try {
    return sodium.crypto_sign_open(signed, publicKey)
  } catch {
    return undefined
  }
}

/** The identity that `signer` vouches for, or undefined when the signature or its content is not right. */
export function openIdentity(signed: Uint8Array, signerPublicKey: Uint8Array): SignedIdentity | undefined {
  const idPk = openCombined(signed, signerPublicKey)
  if (!idPk) return undefined
  try {
    const { id, pk } = session.IdPk.decode(idPk)
    return pk.length === PUBLIC_KEY_BYTES ? { id, publicKey: pk } : undefined
  } catch {
    return undefined
  }
}

/**
 * First message of a device in a secured session (docs/protocol.md, peer handshake).
 *
 * @param deviceSecretKey Ed25519, 64 bytes
 * @param boxPublicKey of the pair made for this connection
 */
export function deviceHello(id: string, deviceSecretKey: Uint8Array, boxPublicKey: Uint8Array): Uint8Array {
  return encodeSession({ signedId: { id: signCombined(encodeIdPk(id, boxPublicKey), deviceSecretKey) } })
}

/**
 * What a controller answers to the device's first message.
 *
 * @param deviceFrame the first payload received
 * @param expected the device's id and Ed25519 key, as the server signed them
 * @param ours a pair made for this connection
 * @param sessionKey 32 random bytes
 * @throws ProtocolError when the frame is not the signed identity of exactly this device
 */
export function controllerAnswer(
  deviceFrame: Uint8Array,
  expected: SignedIdentity,
  ours: BoxKeyPair,
  sessionKey: Uint8Array,
): Uint8Array {
  const message = decodeSession(deviceFrame)
  if (message.union !== 'signedId') throw new ProtocolError('the first message of the device is not its signed id')
  const identity = openIdentity(message.signedId?.id ?? new Uint8Array(0), expected.publicKey)
  if (!identity) throw new ProtocolError('the device is not the one that the server vouches for')
  if (identity.id !== expected.id) throw new ProtocolError(`the device calls itself ${identity.id}, not ${expected.id}`)
  return encodeSession({
    publicKey: {
      asymmetricValue: ours.publicKey,
      symmetricValue: sealSessionKey(sessionKey, identity.publicKey, ours),
    },
  })
}

/**
 * What a device makes of the controller's first frame: the record layer from here on, or undefined when the session
 * goes on in clear text. `keyUnconfirmed`: the controller could not verify the device's key, which then registers anew.
 *
 * @param ours the pair whose public half was in `deviceHello`
 * @throws ProtocolError when the connection has to end
 */
export function readControllerAnswer(
  frame: Uint8Array,
  ours: BoxKeyPair,
): { records: RecordLayer | undefined; keyUnconfirmed: boolean } {
  const message = decodeSession(frame)
  if (message.union !== 'publicKey') return { records: undefined, keyUnconfirmed: false }
  const theirs = message.publicKey?.asymmetricValue ?? new Uint8Array(0)
  if (theirs.length === 0) return { records: undefined, keyUnconfirmed: true }
  if (theirs.length !== PUBLIC_KEY_BYTES) throw new ProtocolError(`a key of ${theirs.length} bytes`)
  return {
    records: new RecordLayer(openSessionKey(message.publicKey?.symmetricValue, theirs, ours)),
    keyUnconfirmed: false,
  }
}
