import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { check, type Known, type Verdict, type WebSocketWay } from '../check.ts'
import { fine, wrong } from '../finding.ts'
import { askNat } from '../probes/nat-question.ts'
import { webSocketNetwork } from '../probes/network.ts'

/** `upgraded`, or the HTTP status that came instead; undefined: no answer. */
type Upgrade = 'upgraded' | number | undefined

export interface ProxyFacts {
  readonly url: string
  readonly id: Upgrade
  readonly relay: Upgrade
  /** Behind `/ws/id` the ID server answers. */
  readonly isIdServer: boolean
  readonly isNeeded: boolean
}

/** The two paths of the reverse proxy that clients use. */
export const proxyPaths = check<ProxyFacts>({
  name: 'WebSocket paths',
  needs: ['host', 'proxy'],
  applies: ({ proxy }) => proxy !== undefined,
  probe: probePaths,
  judge: judgePaths,
})

async function probePaths(known: Known): Promise<ProxyFacts> {
  const { proxy, target } = known
  if (!proxy) throw new Error('a proxy was expected')
  const { limitMs } = target
  const [id, relay] = await Promise.all([upgrade(proxy, '/ws/id', limitMs), upgrade(proxy, '/ws/relay', limitMs)])
  const network = webSocketNetwork(known, proxy)
  const answer =
    id === 'upgraded'
      ? await askNat(network, { host: proxy.host, port: target.port }, limitMs).catch(() => undefined)
      : undefined
  const isNeeded = target.proxy !== undefined || target.mode === 'webSocket'
  return { url: urlOf(proxy), id, relay, isIdServer: answer !== undefined, isNeeded }
}

const urlOf = ({ scheme, host, port }: WebSocketWay) => `${scheme}://${host}${port === undefined ? '' : `:${port}`}`

function upgrade(way: WebSocketWay, path: string, limitMs: number): Promise<Upgrade> {
  const url = `${urlOf(way).replace(/^ws/, 'http')}${path}`
  return new Promise((resolve) => {
    const options = {
      agent: false,
      signal: AbortSignal.timeout(limitMs),
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      },
    } as const
    const request = way.scheme === 'wss' ? requestHttps(url, options) : requestHttp(url, options)
    request.on('error', () => resolve(undefined))
    request.on('upgrade', (_, socket) => {
      socket.on('error', () => undefined).destroy()
      resolve('upgraded')
    })
    request.on('response', (response) => {
      resolve(response.statusCode ?? 0)
      request.destroy()
    })
    request.end()
  })
}

export function judgePaths({ url, id, relay, isIdServer, isNeeded }: ProxyFacts): Verdict {
  const faults = [
    ...(id === 'upgraded' ? [] : [`/ws/id: ${describe(id)}`]),
    ...(relay === 'upgraded' ? [] : [`/ws/relay: ${describe(relay)}`]),
    ...(id === 'upgraded' && !isIdServer ? ['/ws/id: upgraded, but no ID server answers behind it'] : []),
  ]
  if (faults.length === 0)
    return { findings: [fine('the WebSocket paths lead to the servers', `${url}/ws/id, /ws/relay`)] }
  const bad = (status: Upgrade) => status === 502 || status === 503 || status === 504
  const remedy =
    bad(id) || bad(relay)
      ? 'the proxy does not reach the servers: start them, and check where it forwards to (/ws/id to PORT + 2 of hbbs, /ws/relay to PORT + 3)'
      : 'forward /ws/id to PORT + 2 of hbbs and /ws/relay to PORT + 3 of hbbr, with HTTP/1.1 and the headers Upgrade and Connection'
  const finding = wrong(
    'proxy-path',
    'WebSockets do not get through the reverse proxy',
    `${url}: ${faults.join('; ')}`,
    remedy,
  )
  if (isNeeded) return { findings: [finding], breaks: ['proxy'] }
  // A web server at the same name that knows nothing of this one is no fault of it.
  const isForeign = id !== 'upgraded' && relay !== 'upgraded' && !bad(id) && !bad(relay)
  const noted = fine(`the web server at ${url} serves no WebSockets of this server`, faults.join('; '))
  return { findings: [isForeign ? noted : finding], breaks: ['proxy'] }
}

const describe = (status: Upgrade) => (status === undefined ? 'no answer' : `HTTP ${status} instead of an upgrade`)
