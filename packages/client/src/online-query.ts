import { isMessage, type Network, RendezvousLink } from './rendezvous-link.ts'
import { natTestServer } from './service-address.ts'
import { ONLINE_ANSWER_LIMIT_MS } from './stock-client.ts'

/** Peer i is bit 7 - (i mod 8) of byte i div 8; what a short answer does not cover counts as offline. */
export const readOnlineStates = (states: Uint8Array, peers: number): boolean[] =>
  Array.from({ length: peers }, (_, i) => (((states[i >> 3] ?? 0) >> (7 - (i & 7))) & 1) === 1)

/**
 * Asks which of these ids are online (docs/protocol.md, online query). Undefined when the server does not answer: a
 * stock client then keeps what it showed before.
 *
 * @throws LinkError when there is no connection
 */
export async function queryOnline(
  network: Network,
  ownId: string,
  ids: readonly string[],
): Promise<Map<string, boolean> | undefined> {
  const link = await RendezvousLink.open(network, natTestServer(network.server))
  try {
    link.send({ onlineRequest: { id: ownId, peers: [...ids] } })
    const answer = await link.receiveSkippingKeyExchange(ONLINE_ANSWER_LIMIT_MS)
    const states = isMessage(answer) ? answer.onlineResponse?.states : undefined
    if (!states) return undefined
    const online = readOnlineStates(states, ids.length)
    return new Map(ids.map((id, i) => [id, online[i] === true]))
  } finally {
    await link.close()
  }
}
