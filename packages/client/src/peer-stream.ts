import { ProtocolError } from '@tryst/protocol'
import {
  decodeSession,
  encodeSession,
  type OutgoingSessionMessage,
  type RecordLayer,
  type SessionMessage,
} from '@tryst/protocol/session'
import { TIMEOUT } from './clock.ts'
import { ENDED } from './inbox.ts'
import type { Link } from './link.ts'

/** Why a peer session has no more messages. */
export type PeerStreamEnd = typeof ENDED | typeof TIMEOUT | 'broken'

/** Messages of a peer session on a link, encrypted once the handshake has given a record layer. */
export class PeerStream {
  #records: RecordLayer | undefined
  #failure: Error | undefined

  constructor(readonly link: Link) {}

  get isEncrypted(): boolean {
    return this.#records !== undefined
  }

  /** Why the stream is broken, if it is. */
  get failure(): Error | undefined {
    return this.#failure ?? this.link.failure
  }

  encryptWith(records: RecordLayer | undefined): void {
    this.#records = records
  }

  /** False when the message waits in memory; wait for `link.drained()` before sending much more. */
  send(message: OutgoingSessionMessage): boolean {
    const plain = encodeSession(message)
    return this.link.send(this.#records ? this.#records.seal(plain) : plain)
  }

  /** The next message. A payload that is no message is skipped, as stock peers do; one that does not open ends it. */
  async next(limitMs: number): Promise<SessionMessage | PeerStreamEnd> {
    for (;;) {
      const payload = await this.link.next(limitMs)
      if (payload === ENDED) return this.link.failure ? 'broken' : ENDED
      if (payload === TIMEOUT) return payload
      try {
        const plain = this.#records ? this.#records.open(payload) : payload
        const message = readMessage(plain)
        if (message) return message
      } catch (error) {
        this.#failure = error as Error
        return 'broken'
      }
    }
  }
}

function readMessage(plain: Uint8Array): SessionMessage | undefined {
  try {
    return decodeSession(plain)
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}
