import { encodeClientConfig } from '@tryst/protocol'
import { asClientSetting } from '@tryst/service'
import { encode } from 'uqr'
import { type Html, html } from './html.ts'

/** What everybody may know of a server. */
export interface ServerFacts {
  /** Where clients reach it. */
  readonly host: string
  readonly idPort: number
  /** The public key; undefined while there is none. */
  readonly key: string | undefined
  /** Where clients reach the API, when they cannot derive it. */
  readonly apiUrl: string | undefined
}

const DOWNLOADS = 'https://github.com/rustdesk/rustdesk/releases/latest'

/** Empty space around the code, which readers need. */
const QUIET_MODULES = 4

/** The page at `/`: all that a person needs to point a client at this server. */
export function statusPage({ host, idPort, key, apiUrl }: ServerFacts): string {
  const server = asClientSetting(host, idPort)
  const page = html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${host} – remote desktop server</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="status.css">
</head>
<body>
<header>
<h1>${host}</h1>
<p>A server for RustDesk clients.</p>
</header>
<main>
${key === undefined ? KEY_MISSING : clientSection(server, key, apiUrl)}
<section aria-labelledby="download">
<h2 id="download">Get a client</h2>
<p>From its makers: <a href="${DOWNLOADS}" rel="noreferrer">RustDesk for Windows, macOS, Linux and Android</a>,
for iOS in the App Store.</p>
</section>
${portsSection(idPort)}
</main>
<footer>
<p><a href="api/docs">API (OpenAPI)</a></p>
</footer>
</body>
</html>
`
  return page.text
}

const KEY_MISSING = html`<section aria-labelledby="client">
<h2 id="client">Set up a client</h2>
<p>The key is not there yet: it is made when the ID server starts. Load this page again then.</p>
</section>`

function clientSection(server: string, key: string, apiUrl: string | undefined): Html {
  const config = encodeClientConfig({ host: server, key, api: apiUrl ?? '' })
  const api = apiUrl === undefined ? html`` : row('API server', apiUrl)
  return html`<section aria-labelledby="client">
<h2 id="client">Set up a client</h2>
<p>In the client: <b>Settings</b>, <b>Network</b>, <b>ID/Relay server</b>. Enter:</p>
<dl>
${row('ID server', server)}${row('Key', key)}${api}</dl>
<p>Or copy this text and use the paste button there:</p>
<p><code>${config}</code></p>
<p>Or scan this with a mobile client:</p>
<p>${qrCode(`config=${config}`)}</p>
</section>`
}

const row = (name: string, value: string) => html`<div><dt>${name}</dt><dd><code>${value}</code></dd></div>
`

function portsSection(idPort: number): Html {
  const ports: readonly (readonly [string, string])[] = [
    [`${idPort} UDP and TCP`, 'devices register, controllers ask for them'],
    [`${idPort - 1} TCP`, 'type of NAT, who is online'],
    [`${idPort + 1} TCP`, 'relayed sessions'],
    [`${idPort - 2} TCP`, 'this page and the API'],
    [`${idPort + 2} and ${idPort + 3} TCP`, 'the same over WebSocket, without a proxy'],
  ]
  return html`<section aria-labelledby="ports">
<h2 id="ports">Ports</h2>
<table>
<thead><tr><th scope="col">Port</th><th scope="col">For</th></tr></thead>
<tbody>
${ports.map(
  ([port, purpose]) => html`<tr><td>${port}</td><td>${purpose}</td></tr>
`,
)}</tbody>
</table>
</section>`
}

/** Dark on light in any colour scheme: not every reader takes it the other way round. */
function qrCode(text: string): Html {
  const { data, size } = encode(text, { border: QUIET_MODULES })
  const path = data.flatMap((line, y) => line.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : []))).join('')
  return html`<svg class="qr" role="img" aria-label="QR code of the configuration text" viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h${size}v${size}H0z"/><path fill="#000" d="${path}"/></svg>`
}
