import { duplexPair } from 'node:stream'
import { connect, createSecureContext, getCACertificates, TLSSocket } from 'node:tls'

/** What a server shows: a certificate with its chain, and its key, in PEM. */
export interface ServerCertificate {
  readonly chain: string
  readonly key: string
}

/**
 * Whether a client that trusts what this system trusts would accept the certificate for a host: undefined, or why not.
 * It is tried out, since only a handshake looks at everything: name, dates, chain.
 *
 * @param authorities what is trusted, in PEM; by default what Node and the system trust
 */
export function whyNotTrusted(
  { chain, key }: ServerCertificate,
  host: string,
  authorities: readonly string[] = [...getCACertificates('default'), ...getCACertificates('system')],
): Promise<string | undefined> {
  const [serverSide, clientSide] = duplexPair()
  return new Promise((resolve) => {
    let server: TLSSocket | undefined
    const end = (reason: string | undefined) => {
      resolve(reason)
      client?.destroy()
      server?.destroy()
      serverSide.destroy()
      clientSide.destroy()
    }
    let client: TLSSocket | undefined
    try {
      const secureContext = createSecureContext({ cert: chain, key })
      server = new TLSSocket(serverSide, { isServer: true, secureContext })
    } catch (error) {
      end(error instanceof Error ? error.message : String(error))
      return
    }
    server.on('error', () => {})
    client = connect({
      socket: clientSide,
      host,
      servername: /[a-z]/i.test(host) && !host.includes(':') ? host : '',
      ca: [...authorities],
    })
    client.on('secureConnect', () => end(undefined))
    client.on('error', (error) => end(error.message))
  })
}
