import { type Device, type Network, type Reaction, RendezvousLink } from '@tryst/client'
import { rendezvous, unmangleAddress } from '@tryst/protocol'

/** What came of asking for our own device. */
export interface PushAnswer {
  /** Our address as the server sees it; undefined: the device was not asked. */
  readonly seenIp: string | undefined
  readonly ownIp: string
  /** What the device tells the controller to use, as the server told it. */
  readonly relayServer: string | undefined
  /** The server's words; undefined: it refused nothing. */
  readonly refusal: string | undefined
}

/** Asks for the device as a controller would; the device tells who the server says is asking. @throws LinkError */
export async function pushToOwnDevice(
  network: Network,
  server: { readonly host: string; readonly port: number },
  device: Device,
  limitMs: number,
): Promise<PushAnswer> {
  const link = await RendezvousLink.open(network, server, { limitMs })
  const reaction = nextReaction(device, limitMs)
  try {
    const natType = network.transport === 'tcp' ? rendezvous.NatType.ASYMMETRIC : rendezvous.NatType.SYMMETRIC
    const licenceKey = network.server.key ?? ''
    link.send({ punchHoleRequest: { id: device.id, licenceKey, natType, version: '1.4.9' } })
    const answer = link.receiveSkippingKeyExchange(limitMs)
    const seen = await Promise.race([reaction, answer.then((message) => (refusalIn(message) ? undefined : reaction))])
    const message = await answer
    const response = typeof message === 'object' ? (message.punchHoleResponse ?? message.relayResponse) : undefined
    return {
      seenIp:
        seen && 'initiator' in seen
          ? seen.initiator.ip
          : seen && 'handle' in seen
            ? unmangleAddress(seen.handle).ip
            : undefined,
      ownIp: link.link.local.ip,
      relayServer: response?.relayServer || (seen && 'relayServer' in seen ? seen.relayServer : undefined),
      refusal: refusalIn(message),
    }
  } finally {
    void link.close()
  }
}

function refusalIn(message: Awaited<ReturnType<RendezvousLink['receive']>>): string | undefined {
  const response = typeof message === 'object' ? message.punchHoleResponse : undefined
  if (!response || response.socketAddr?.length) return undefined
  if (response.otherFailure) return response.otherFailure
  const failure = response.failure ?? 0
  return rendezvous.PunchHoleResponse.Failure[failure] ?? `failure ${failure}`
}

function nextReaction(device: Device, limitMs: number): Promise<Reaction | undefined> {
  return new Promise((resolve) => {
    const settle = (reaction: Reaction | undefined) => {
      clearTimeout(timer)
      device.off('reaction', take)
      resolve(reaction)
    }
    const take = (reaction: Reaction) => {
      if (reaction.kind !== 'ignore') settle(reaction)
    }
    const timer = setTimeout(() => settle(undefined), limitMs)
    device.on('reaction', take)
  })
}
