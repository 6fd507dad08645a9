import { type Network, RendezvousLink } from '@tryst/client'

/** What an ID server's answer to TestNatRequest tells. */
export interface NatAnswer {
  readonly seenPort: number
  readonly ownPort: number
  readonly ownIp: string
}

/** Undefined: connected, but no answer. @throws LinkError */
export async function askNat(
  network: Network,
  target: { readonly host: string; readonly port: number },
  limitMs: number,
  localPort?: number,
): Promise<NatAnswer | undefined> {
  const link = await RendezvousLink.open(network, target, { limitMs, localPort })
  try {
    link.send({ testNatRequest: { serial: 3 } })
    const answer = await link.receiveSkippingKeyExchange(limitMs)
    const response = typeof answer === 'object' ? answer.testNatResponse : undefined
    const { ip: ownIp, port: ownPort } = link.link.local
    // Behind a reverse proxy nobody knows the port: it is 0.
    return response ? { seenPort: response.port ?? 0, ownPort, ownIp } : undefined
  } finally {
    void link.close()
  }
}
