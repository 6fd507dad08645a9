import { normaliseIp, parseIp } from '@tryst/protocol'

export const DEFAULT_ID_PORT = 21116
export const DEFAULT_RELAY_PORT = 21117
/** Clients derive these ports from the ID server's; nobody configures them. */
const NAT_TEST_PORT_OFFSET = -1
const RELAY_PORT_OFFSET = 1
const WEB_SOCKET_PORT_OFFSET = 2

/** A name or an address, and a port. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

/** What a user enters into a client: the server's address, its key, and options that differ from a fresh installation. */
export interface ServerSettings {
  /** Name or address of the ID server. */
  readonly host: string
  /** Its main port. Default 21116. */
  readonly port?: number | undefined
  /** Its public key in base64. Default: none, which only an open server accepts. */
  readonly key?: string | undefined
  /** The client's own choice of a relay, `host` or `host:port`. A device prefers it to what the server proposes. */
  readonly relayServer?: string | undefined
  /** Scheme for domain names in WebSocket mode; addresses always use `ws`. Default `ws`. */
  readonly webSocketScheme?: 'ws' | 'wss' | undefined
  /** Where the reverse proxy for domain names listens. Default: the scheme's port, the only one that stock clients use. */
  readonly webSocketPort?: number | undefined
}

const WEB_SOCKET_URL = /^wss?:\/\//

const isAddress = (host: string): boolean => parseIp(normaliseIp(host)) !== undefined

/** The text in the form `host`, `host:port`, `[v6]:port`, a bare IPv6 address, or a WebSocket URL, which stays whole. */
export function parseHostPort(text: string, defaultPort: number): HostPort {
  if (WEB_SOCKET_URL.test(text)) return { host: text, port: defaultPort }
  if (text.includes(':') && isAddress(text)) return { host: text, port: defaultPort }
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  if (!host) throw new TypeError(`"${text}" is no address; write host or host:port`)
  return { host, port: match?.[3] === undefined ? defaultPort : Number(match[3]) }
}

export const idServer = ({ host, port = DEFAULT_ID_PORT }: ServerSettings): HostPort => ({ host, port })

export const natTestServer = (server: ServerSettings): HostPort => ({
  host: server.host,
  port: idServer(server).port + NAT_TEST_PORT_OFFSET,
})

const bracketed = (host: string) => (host.includes(':') ? `[${host}]` : host)

/** The relay that a device names when neither its own settings nor the server name one. */
export const derivedRelayServer = (server: ServerSettings): string =>
  `${bracketed(server.host)}:${idServer(server).port + RELAY_PORT_OFFSET}`

/**
 * Where a client in WebSocket mode connects instead of `target`: an address gets the port + 2 of the service, a domain
 * name is reached through its reverse proxy on the default port. The NAT test port stands for the ID server's. A URL is
 * used as it is.
 */
export function webSocketUrl(target: HostPort, server: ServerSettings): string {
  if (WEB_SOCKET_URL.test(target.host)) return target.host
  const id = idServer(server)
  const isIdServer = target.port === id.port || target.port === id.port + NAT_TEST_PORT_OFFSET
  if (isAddress(target.host)) {
    return `ws://${bracketed(target.host)}:${(isIdServer ? id.port : target.port) + WEB_SOCKET_PORT_OFFSET}/`
  }
  const port = server.webSocketPort === undefined ? '' : `:${server.webSocketPort}`
  return `${server.webSocketScheme ?? 'ws'}://${target.host}${port}/ws/${isIdServer ? 'id' : 'relay'}`
}
