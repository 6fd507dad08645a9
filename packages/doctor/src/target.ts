import { isIP } from 'node:net'

/** What is examined, as the operator names it. */
export interface Target {
  /** Name or address that clients have as their ID server. */
  readonly host: string
  readonly port: number
  /** What clients have as their key; undefined: to be learned from the status page. */
  readonly key: { readonly text: string; readonly from: string } | undefined
  /** A key that is taken where the status page shows none: that of a folder of this machine. */
  readonly folderKey: { readonly text: string; readonly from: string } | undefined
  /** The API's URL where it cannot be derived. */
  readonly apiUrl: string | undefined
  /** The reverse proxy in front of the WebSocket ports, where the operator names one. */
  readonly proxy: { readonly host: string; readonly port: number | undefined } | undefined
  /** `webSocket`: clients use nothing else. */
  readonly mode: 'all' | 'webSocket'
  /** For every single answer. */
  readonly limitMs: number
}

export const isName = (host: string): boolean => isIP(host) === 0

/** Ports of a server, by what clients derive them from. */
export const portsOf = ({ port }: Target) => ({
  api: port - 2,
  natTest: port - 1,
  id: port,
  relay: port + 1,
  idWebSocket: port + 2,
  relayWebSocket: port + 3,
})

/** The same for a server whose ports were not changed. */
export const STANDARD_PORT = 21116

/** Where the API is asked. */
export function apiUrlOf(target: Target, ip: string): string {
  if (target.apiUrl !== undefined) return target.apiUrl.replace(/\/$/, '')
  return `http://${ip.includes(':') ? `[${ip}]` : ip}:${portsOf(target).api}`
}
