import { isDeepStrictEqual } from 'node:util'
import { decodeFields } from './messages.ts'
import type { Fields } from './transcript.ts'

const REGISTERED = { register_pk_response: {} }
const ACCEPTED = { register_peer_response: {} }
const KEY_WANTED = { register_peer_response: { request_pk: true } }

/**
 * What the devices of a group registered with. Our servers ask a device for its key when it comes from another port;
 * recorded devices, which were not asked, would be lost from there on, where a real one sends its key.
 */
export class KnownDevices {
  readonly #accepted = new Map<string, Uint8Array>()
  /** The last message of each client. */
  readonly #sent = new Map<object, { readonly fields: Fields | undefined; readonly payload: Uint8Array }>()

  sent(client: object, payload: Uint8Array): void {
    this.#sent.set(client, { fields: decodeFields(payload), payload })
  }

  received(client: object, fields: Fields): void {
    const last = this.#sent.get(client)
    const { id } = (last?.fields?.register_pk ?? {}) as Fields
    if (last && typeof id === 'string' && isDeepStrictEqual(fields, REGISTERED)) this.#accepted.set(id, last.payload)
  }

  /** What a real device sends now: it was asked for its key where the recorded one was not. */
  keyFor(client: object, expected: Fields, found: Fields): Uint8Array | undefined {
    if (!isDeepStrictEqual(expected, ACCEPTED) || !isDeepStrictEqual(found, KEY_WANTED)) return undefined
    const { id } = (this.#sent.get(client)?.fields?.register_peer ?? {}) as Fields
    return typeof id === 'string' ? this.#accepted.get(id) : undefined
  }
}
