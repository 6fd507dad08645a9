import { ProtocolError } from './errors.ts'
import { openCombined } from './handshake.ts'
import { combinedSignature, PUBLIC_KEY_BYTES, type Signer } from './identity.ts'
import { RecordLayer } from './record-layer.ts'
import { decodeRendezvous, encodeRendezvous } from './rendezvous-message.ts'
import { type BoxKeyPair, openSessionKey, sealSessionKey } from './session-key.ts'

export { RecordLayer } from './record-layer.ts'
export { type BoxKeyPair, boxKeyPairOf, createBoxKeyPair, createSessionKey } from './session-key.ts'

/**
 * KeyExchange: encryption between a client and the ID server on its main TCP port. The server speaks first, with a pair
 * made for this connection; a client that does not care goes on in clear text (docs/protocol.md, secure TCP).
 *
 * @returns the message that the server sends first
 */
export const keyExchangeOffer = (signer: Signer, ours: BoxKeyPair): Uint8Array =>
  encodeRendezvous({ keyExchange: { keys: [combinedSignature(signer, ours.publicKey)] } })

/**
 * The server's end of the record layer, from the two keys that a client answers with.
 *
 * @param ours the pair that was offered
 * @throws ProtocolError when the connection has to end
 */
export function readKeyExchangeAnswer(keys: readonly Uint8Array[], ours: BoxKeyPair): RecordLayer {
  const [theirs, sealed] = keys
  if (keys.length !== 2 || !theirs) throw new ProtocolError(`a key exchange of ${keys.length} keys instead of 2`)
  if (theirs.length !== PUBLIC_KEY_BYTES) throw new ProtocolError(`a public key of ${theirs.length} bytes`)
  return new RecordLayer(openSessionKey(sealed, theirs, ours))
}

/** What is wrong with an offer. */
export type KeyOfferFault = 'number' | 'signature' | 'length'

/** An offer that ends the connection of a client. */
export class KeyOfferError extends ProtocolError {
  constructor(
    readonly fault: KeyOfferFault,
    message: string,
  ) {
    super(message)
  }
}

/**
 * What a client makes of the first message on its connection: its answer and the record layer from there on, or
 * undefined when that was anything but an offer, which is swallowed and leaves the connection in clear text.
 *
 * @param serverPublicKey the key that the client was configured with
 * @param ours a pair made for this connection
 * @param sessionKey 32 random bytes
 * @throws KeyOfferError when the offer is not from this server; ProtocolError when its key is of small order
 */
export function answerKeyExchange(
  firstPayload: Uint8Array,
  serverPublicKey: Uint8Array,
  ours: BoxKeyPair,
  sessionKey: Uint8Array,
): { readonly answer: Uint8Array; readonly records: RecordLayer } | undefined {
  const keys = offeredKeys(firstPayload)
  if (!keys) return undefined
  const [offer] = keys
  if (keys.length !== 1 || !offer) throw new KeyOfferError('number', `an offer of ${keys.length} keys instead of 1`)
  const theirs = openCombined(offer, serverPublicKey)
  if (!theirs) throw new KeyOfferError('signature', 'the offered key is not signed by the configured server')
  if (theirs.length !== PUBLIC_KEY_BYTES) throw new KeyOfferError('length', `an offered key of ${theirs.length} bytes`)
  const answer = encodeRendezvous({
    keyExchange: { keys: [ours.publicKey, sealSessionKey(sessionKey, theirs, ours)] },
  })
  return { answer, records: new RecordLayer(sessionKey) }
}

function offeredKeys(payload: Uint8Array): readonly Uint8Array[] | undefined {
  try {
    return decodeRendezvous(payload).keyExchange?.keys ?? undefined
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}
