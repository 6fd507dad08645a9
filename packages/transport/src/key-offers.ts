import { decodeRendezvous, ProtocolError, type Signer } from '@tryst/protocol'
import type { BoxKeyPair, RecordLayer } from '@tryst/protocol/secure-tcp'
import type { KeyExchangeOutcome } from '@tryst/rendezvous'

/** Loaded when the first client waits for an offer: libsodium takes 6 MiB, which servers without such clients save. */
type SecureTcp = typeof import('@tryst/protocol/secure-tcp')

/**
 * A client that has sent nothing for so long waits for the server: all others send at once, the slowest 30 ms after they
 * connected (a device that punches). Those are too old to know an offer, or end with a reset when one is on its way.
 */
export const OFFER_AFTER_MS = 150
/** How late a silent client may be found; with the wait above it is below the 300 ms that users do not notice. */
export const OFFER_CHECK_EVERY_MS = 25

/** One pair serves the offers of this time, or so many handshakes. */
const PAIR_LASTS_MS = 10_000
const HANDSHAKES_PER_PAIR = 1_000

export type KeyExchangeCounts = Record<KeyExchangeOutcome, number>

/** Who is offered a key. */
export interface Silent {
  /** Sends the offer. False: the client has spoken or gone meanwhile. */
  offer(message: Uint8Array, channel: SecureChannel): boolean
}

/** What one pair is offered with, and who has taken it. */
interface Offer {
  readonly secureTcp: SecureTcp
  readonly pair: BoxKeyPair
  readonly message: Uint8Array
  readonly expiresMs: number
  /** Session keys that came sealed for this pair, as text: one that comes again is a recording. */
  readonly taken: Set<string>
}

/**
 * Offers encryption to clients that wait for it (docs/protocol.md, secure TCP). A signature and a pair for each offer
 * would let strangers who say nothing cost the server more than those who ask for something. So one pair serves all
 * offers of ten seconds, and no session key is taken twice with it: a recorded handshake cannot be played again, just
 * as if each connection had a pair of its own.
 */
export class KeyOffers {
  #secureTcp: SecureTcp | undefined
  #current: Offer | undefined

  /**
   * @param counts raised with each outcome
   * @param createPair for tests that play recordings; default: drawn at random
   */
  constructor(
    private readonly signer: Signer,
    private readonly counts: KeyExchangeCounts,
    private readonly createPair?: () => BoxKeyPair,
  ) {}

  offerTo(client: Silent): void {
    if (this.#secureTcp) this.#offer(client, this.#secureTcp)
    else {
      void import('@tryst/protocol/secure-tcp').then((secureTcp) => {
        this.#secureTcp = secureTcp
        this.#offer(client, secureTcp)
      })
    }
  }

  #offer(client: Silent, secureTcp: SecureTcp): void {
    const nowMs = performance.now()
    let offer = this.#current
    if (!offer || nowMs >= offer.expiresMs || offer.taken.size >= HANDSHAKES_PER_PAIR) {
      const pair = this.createPair?.() ?? secureTcp.createBoxKeyPair()
      const message = secureTcp.keyExchangeOffer(this.signer, pair)
      offer = { secureTcp, pair, message, expiresMs: nowMs + PAIR_LASTS_MS, taken: new Set() }
      this.#current = offer
    }
    if (client.offer(offer.message, new SecureChannel(offer, this.counts))) this.counts.offered++
  }
}

/** What has been agreed on for one connection since the server made its offer. */
export class SecureChannel {
  /** Until the client has sent something. */
  #offer: Offer | undefined
  #records: RecordLayer | undefined

  constructor(
    offer: Offer,
    private readonly counts: KeyExchangeCounts,
  ) {
    this.#offer = offer
  }

  get isEncrypted(): boolean {
    return this.#records !== undefined
  }

  /** A payload as it travels. To be called in the order in which payloads are written. */
  seal(payload: Uint8Array): Uint8Array {
    return this.#records ? this.#records.seal(payload) : payload
  }

  /**
   * What a payload holds; undefined: it was the answer to the offer.
   *
   * @throws ProtocolError when the connection has to end
   */
  open(payload: Uint8Array): Uint8Array | undefined {
    if (this.#records) return this.#openRecord(payload, this.#records)
    const offer = this.#offer
    if (!offer) return payload
    this.#offer = undefined
    if (!isKeyExchange(payload)) {
      this.counts.plain++
      return payload
    }
    try {
      this.#records = takeAnswer(payload, offer)
    } catch (error) {
      this.counts.refused++
      throw error
    }
    this.counts.encrypted++
    return undefined
  }

  /** The connection is gone. */
  ended(): void {
    if (this.#offer) this.counts.unanswered++
    this.#offer = undefined
  }

  #openRecord(payload: Uint8Array, records: RecordLayer): Uint8Array {
    try {
      return records.open(payload)
    } catch (error) {
      this.counts.unreadable++
      throw error
    }
  }
}

/** By its tag, which stock clients write first: field 25 of the envelope, a message. */
const isKeyExchange = (payload: Uint8Array): boolean => payload[0] === 0xca && payload[1] === 0x01

/** @throws ProtocolError */
function takeAnswer(payload: Uint8Array, { secureTcp, pair, taken }: Offer): RecordLayer {
  const records = secureTcp.readKeyExchangeAnswer(decodeRendezvous(payload).keyExchange?.keys ?? [], pair)
  const key = Buffer.from(records.key).toString('latin1')
  if (taken.has(key)) throw new ProtocolError('a session key that was used before: the handshake is a recording')
  taken.add(key)
  return records
}
