import type { rendezvous } from '@tryst/protocol'
import { isMessage, type Network, RendezvousLink } from './rendezvous-link.ts'
import { idServer } from './service-address.ts'
import { PROXIED_ANSWER_LIMIT_MS } from './stock-client.ts'

/**
 * Has the ID server ask its API, as clients do that get no further than to it (docs/protocol.md, requests to the API).
 *
 * @throws SecureTcpError, LinkError, or an Error with what the server says instead of an answer
 */
export async function askApi(
  network: Network,
  request: rendezvous.HttpProxyRequest.$Properties,
  signal?: AbortSignal,
): Promise<rendezvous.HttpProxyResponse.$Properties> {
  const link = await RendezvousLink.open(network, idServer(network.server), { signal })
  try {
    await link.secure(network.server.key ?? '')
    link.send({ httpProxyRequest: request })
    const answer = await link.receive(PROXIED_ANSWER_LIMIT_MS)
    const response = isMessage(answer) ? answer.httpProxyResponse : undefined
    if (!response) {
      throw new Error(`no answer to a request to the API: ${isMessage(answer) ? (answer.union ?? 'unknown') : answer}`)
    }
    if (response.error) throw new Error(response.error)
    return response
  } finally {
    void link.close()
  }
}
