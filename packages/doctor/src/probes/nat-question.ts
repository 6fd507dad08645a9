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
    const seenPort = typeof answer === 'object' ? answer.testNatResponse?.port : undefined
    const { ip: ownIp, port: ownPort } = link.link.local
    return seenPort ? { seenPort, ownPort, ownIp } : undefined
  } finally {
    void link.close()
  }
}
