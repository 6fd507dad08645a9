import { isIPv6 } from 'node:net'
import { encodeClientConfig } from '@tryst/protocol'
import { asClientSetting } from '@tryst/service'
import { renderUnicodeCompact } from 'uqr'

export interface InitReport {
  /** Undefined where PUBLIC_HOST is not set. */
  readonly host: string | undefined
  readonly idPort: number
  readonly key: string
  /** Where clients reach the API with TLS; undefined: nowhere. */
  readonly apiUrl: string | undefined
  /** Port of the page that shows the same; undefined: there is none. */
  readonly pagePort: number | undefined
  readonly hints: readonly string[]
}

/** What the operator needs to know, and is shown at each start. */
export function initReport({ host, idPort, key, apiUrl, pagePort, hints }: InitReport): string {
  const lines = [`Key: ${key}`]
  if (host !== undefined) {
    const server = asClientSetting(host, idPort)
    const text = encodeClientConfig({ host: server, key, api: apiUrl ?? '' })
    lines.push(`ID server: ${server}`, `Configuration text: ${text}`)
    lines.push(...renderUnicodeCompact(`config=${text}`, { border: 2 }).split('\n'))
  }
  if (pagePort !== undefined) lines.push(`Status page: http://${inUrl(host)}:${pagePort}/`)
  lines.push(...hints.map((hint) => `hint: ${hint}`))
  return `${lines.join('\n')}\n`
}

function inUrl(host = 'ADDRESS-OF-THIS-MACHINE'): string {
  return isIPv6(host) ? `[${host}]` : host
}
