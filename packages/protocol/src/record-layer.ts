import { ProtocolError } from './errors.ts'
import { sodium } from './sodium.ts'

const NONCE_BYTES = 24
/** What encryption adds to a payload: the authenticator in front of it. */
export const RECORD_OVERHEAD_BYTES = 16
export const SESSION_KEY_BYTES = 32

/** 64-bit counter, little-endian, then 16 zero bytes. */
class CounterNonce {
  readonly #bytes = new Uint8Array(NONCE_BYTES)
  readonly #view = new DataView(this.#bytes.buffer)
  #counter = 0n

  /** The counter is raised before use: the first record has 1. */
  next(): Uint8Array {
    this.#counter++
    this.#view.setBigUint64(0, this.#counter, true)
    return this.#bytes
  }
}

/**
 * Encryption of the payloads of one connection after a handshake: crypto_secretbox with a counter of its own for each
 * direction (docs/protocol.md, record layer). Both directions share the key and the sequence of nonces; the protocol
 * leaves no choice.
 */
export class RecordLayer {
  readonly #sending = new CounterNonce()
  readonly #receiving = new CounterNonce()

  /** @param key 32 bytes */
  constructor(readonly key: Uint8Array) {}

  /** An empty payload, the heartbeat, stays as it is and is not counted. */
  seal(plain: Uint8Array): Uint8Array {
    return plain.length === 0 ? plain : this.sealAnyLength(plain)
  }

  /** As `seal`, but an empty payload becomes a record too. Stock programs read that and never write it. */
  sealAnyLength(plain: Uint8Array): Uint8Array {
    return sodium.crypto_secretbox_easy(plain, this.#sending.next(), this.key)
  }

  /**
   * Payloads of 0 or 1 bytes are delivered as they are and are not counted.
   *
   * @throws ProtocolError when a record does not open, which ends the connection
   */
  open(payload: Uint8Array): Uint8Array {
    if (payload.length <= 1) return payload
    const nonce = this.#receiving.next()
    try {
      return sodium.crypto_secretbox_open_easy(payload, nonce, this.key)
    } catch (cause) {
      throw new ProtocolError('a record does not open', { cause })
    }
  }
}
