import { encodeClientConfig } from '@tryst/protocol'
import { asClientSetting, type ClientAddress } from '@tryst/service'
import { renderUnicodeCompact } from 'uqr'

/** What the person at the terminal needs to know to use the server. */
export interface Welcome {
  /** The public key that clients are given; empty when clients need none. */
  readonly key: string
  readonly addresses: readonly ClientAddress[]
  readonly idPort: number
  readonly relayPort: number
  /** Undefined where no API was started. */
  readonly apiPort: number | undefined
  /** Where clients reach the API, when they cannot derive it. */
  readonly apiUrl: string | undefined
  readonly dataFolder: string
  readonly metrics: readonly string[]
  readonly warnings: readonly string[]
  /** Where the text goes; on a terminal the QR code brings its own colours, since many are dark and some are not. */
  readonly to: 'terminal' | 'file'
}

const WHITE_ON_BLACK = '\x1b[97;40m'
const USUAL_COLOURS = '\x1b[0m'

/** The text printed when all services listen. */
export function welcomeText(welcome: Welcome): string {
  const { key, addresses, idPort, relayPort, apiPort, apiUrl, dataFolder, metrics, warnings } = welcome
  const settings = addresses.map(({ host }) => asClientSetting(host, idPort))
  const config = encodeClientConfig({ host: settings[0] ?? '', key, api: apiUrl ?? '' })
  return [
    '',
    'Tryst is ready. In the client: Settings > Network > ID/Relay server',
    '',
    ...labelled('ID server', settings),
    ...labelled('Key', [key === '' ? '(leave empty: no key is checked)' : key]),
    ...labelled('API server', apiUrl === undefined ? [] : [apiUrl]),
    '',
    'Or import this text there (copy it, then the paste button), or scan it with a mobile client:',
    '',
    `  ${config}`,
    '',
    ...qrCode(`config=${config}`, welcome.to),
    '',
    ...labelled('Ports to open', [
      `TCP ${[...(apiPort === undefined ? [] : [apiPort]), idPort - 1, idPort, relayPort].join(', ')}; UDP ${idPort}`,
      `TCP ${idPort + 2}, ${relayPort + 2} for clients that use WebSocket without a proxy`,
    ]),
    ...labelled('Status page', apiPort === undefined ? [] : [`http://${hostInUrl(addresses[0]?.host)}:${apiPort}/`]),
    ...labelled('Data', [dataFolder]),
    ...labelled('Metrics', metrics),
    ...(warnings.length === 0 ? [] : ['', ...warnings.map((warning) => `  ! ${warning}`)]),
    '',
  ].join('\n')
}

/** Warnings about where clients can be when they are given the best of these addresses. */
export function reachWarnings(addresses: readonly ClientAddress[], settingsFile: string): readonly string[] {
  const best = addresses[0]
  const remedy = `Set PUBLIC_HOST=<name or address that clients use> in ${settingsFile}.`
  if (best === undefined || best.reach === 'this machine') {
    return [`Only clients on this machine can reach ${best?.host ?? 'the server'}. ${remedy}`]
  }
  if (best.reach === 'own network') {
    return [`${best.host} is a private address: clients elsewhere cannot reach it. ${remedy}`]
  }
  return []
}

/** Clients hold on to the key that they know, so a new one has to be looked after from its first day. */
export function newKeyWarning(dataFolder: string): string {
  return `A new key pair was made: keep a copy of ${dataFolder}/id_ed25519. Clients that know another key refuse this server.`
}

function qrCode(text: string, to: Welcome['to']): readonly string[] {
  const lines = renderUnicodeCompact(text, { border: 2 }).split('\n')
  return lines.map((line) => `  ${to === 'terminal' ? `${WHITE_ON_BLACK}${line}${USUAL_COLOURS}` : line}`)
}

const hostInUrl = (host = 'localhost') => (host.includes(':') ? `[${host}]` : host)

function labelled(label: string, lines: readonly string[]): readonly string[] {
  return lines.map((line, index) => `  ${(index === 0 ? label : '').padEnd(14)}${line}`)
}
