import { createSecureContext, type TLSSocket } from 'node:tls'
import { formatIdentity, keyHintOf, linkKey } from './link-key.ts'

/** A cipher whose hash is the one that TLS 1.3 means by a pre-shared key without further words; with fresh keys for each connection. */
const TLS = { ciphers: 'TLS_AES_128_GCM_SHA256', minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const

/** What both sides have to know, and what this node calls itself. */
export interface LinkKey {
  readonly psk: Buffer<ArrayBuffer>
  readonly hint: string
  readonly identity: string
}

export function makeLinkKey(secretKey: Uint8Array, name: string): LinkKey {
  const hint = keyHintOf(secretKey)
  return { psk: linkKey(secretKey), hint, identity: formatIdentity({ keyHint: hint, name }) }
}

/** No certificates and nobody who could issue one: without the key a handshake cannot end. */
export const serverTlsOptions = TLS

export const clientTlsOptions = (key: LinkKey) => ({
  secureContext: createSecureContext({ ...TLS, ca: [] }),
  pskCallback: () => ({ psk: key.psk, identity: key.identity }),
  // Asked only where a certificate was shown instead.
  checkServerIdentity: () => new Error('the other side did not prove that it has the key'),
})
export type ClientTlsOptions = ReturnType<typeof clientTlsOptions>

/** Whether the other side has proved that it has the key. */
export const isProven = (socket: TLSSocket): boolean => socket.getProtocol() === 'TLSv1.3' && socket.isSessionReused()

/** The handshake failed because the keys differ, as either side sees it. */
export function isOtherKey(error: unknown): boolean {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
  return /BINDER_DOES_NOT_VERIFY|ALERT_HANDSHAKE_FAILURE|ALERT_DECRYPT_ERROR|UNKNOWN_PSK_IDENTITY/.test(code)
}
