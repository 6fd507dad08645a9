import { encodeBase64 } from './base64.ts'

/** What a client has to be told about a server; empty means "not set". */
export interface ClientConfig {
  /** `host` or `host:port` of the ID server. */
  readonly host: string
  readonly relay?: string
  readonly api?: string
  /** The server's public key, base64. */
  readonly key: string
}

/**
 * The text that clients import from the clipboard, a QR code (`config=` in front), `--config` or the name of the
 * executable: JSON in base64url, reversed. Without padding, since `--config` reads no other form.
 */
export function encodeClientConfig({ host, relay = '', api = '', key }: ClientConfig): string {
  const json = new TextEncoder().encode(JSON.stringify({ host, relay, api, key }))
  const base64url = encodeBase64(json).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
  return [...base64url].reverse().join('')
}

/** Reads a configuration text back, padded or not; undefined when it is none. */
export function decodeClientConfig(text: string): Required<ClientConfig> | undefined {
  try {
    const base64 = [...text.trim()].reverse().join('').replaceAll('-', '+').replaceAll('_', '/').replaceAll('=', '')
    const json: unknown = JSON.parse(
      new TextDecoder().decode(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))),
    )
    if (typeof json !== 'object' || json === null) return undefined
    const member = (name: string) => {
      const value = (json as Record<string, unknown>)[name]
      return typeof value === 'string' ? value : ''
    }
    const config = { host: member('host'), relay: member('relay'), api: member('api'), key: member('key') }
    return config.host === '' ? undefined : config
  } catch {
    return undefined
  }
}
