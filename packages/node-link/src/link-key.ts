import { hkdfSync } from 'node:crypto'
import { encodeBase64 } from '@tryst/protocol'

const INFO = 'tryst node link, pre-shared key 1'
const PSK_BYTES = 32
const SCHEME = 'tryst-node-1'
/** Enough to tell key pairs apart in a log; operators know their public key. */
const HINT_LENGTH = 12
const MAX_NAME_LENGTH = 64

/** What a node says of itself before it has proved anything. */
export interface ClaimedIdentity {
  /** Beginning of its public key in base64. */
  readonly keyHint: string
  readonly name: string
}

/** The key that all nodes of one server have in common. @param secretKey 64 bytes in libsodium's form */
export const linkKey = (secretKey: Uint8Array): Buffer<ArrayBuffer> =>
  Buffer.from(hkdfSync('sha256', secretKey, new Uint8Array(0), INFO, PSK_BYTES))

/** @param secretKey 64 bytes in libsodium's form: the second half is the public key */
export const keyHintOf = (secretKey: Uint8Array): string => encodeBase64(secretKey.subarray(32)).slice(0, HINT_LENGTH)

/** What goes over the wire in the clear, so that a node with another key can be named. */
export const formatIdentity = ({ keyHint, name }: ClaimedIdentity): string => `${SCHEME} ${keyHint} ${printable(name)}`

/** Undefined for what no node sends. */
export function parseIdentity(text: string): ClaimedIdentity | undefined {
  const [scheme, keyHint, ...name] = text.split(' ')
  if (scheme !== SCHEME || keyHint === undefined || keyHint.length !== HINT_LENGTH) return undefined
  return { keyHint: printable(keyHint), name: printable(name.join(' ')) }
}

/** What may be written to a log, whoever sent it. */
export const printable = (text: string): string => text.slice(0, MAX_NAME_LENGTH).replaceAll(/[^\x20-\x7e]/g, '?')
