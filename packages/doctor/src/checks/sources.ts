import { scopeOf } from '../address-scope.ts'
import { check, type Known, type Verdict } from '../check.ts'
import { type Finding, fine, wrong } from '../finding.ts'
import { clientNetwork } from '../probes/network.ts'
import { isOfThisMachine } from '../probes/own-addresses.ts'
import { type PushAnswer, pushToOwnDevice } from '../probes/push.ts'

export interface SourceFacts {
  /** Where the server is, as seen from here. */
  readonly serverIp: string
  /** The server runs on this machine. */
  readonly isHere: boolean
  readonly push: PushAnswer | undefined
}

/** Who the server takes us for; and which relay it names. */
export const sources = check<SourceFacts>({
  name: 'source addresses',
  needs: ['host', 'idServer', 'state', 'key', 'device'],
  applies: ({ device }) => device !== undefined,
  probe: async (known: Known) => {
    const { device, ip, target, proxy } = known
    if (!device) throw new Error('a device was expected')
    const host = target.mode === 'webSocket' && proxy ? proxy.host : ip
    const push = await pushToOwnDevice(clientNetwork(known), { host, port: target.port }, device, target.limitMs).catch(
      () => undefined,
    )
    return { serverIp: ip, isHere: isOfThisMachine(ip), push }
  },
  judge: judgeSources,
})

export function judgeSources({ serverIp, isHere, push }: SourceFacts): Verdict {
  if (push?.refusal !== undefined) {
    const remedy = 'that is what ALLOW_CONTROL or the server’s rules say; sessions were not checked'
    const what = 'the ID server refuses that this machine controls a device'
    const finding = wrong('refused', what, push.refusal, remedy)
    return { findings: [finding], breaks: ['device'], learned: { relayServer: push.relayServer } }
  }
  if (push?.seenIp === undefined) {
    const finding = wrong(
      'push-lost',
      'the ID server does not reach a device that is registered',
      'a request for it never arrived there',
      'answers of the server arrive and its own datagrams do not: see the log of hbbs, and firewalls that forget UDP within seconds',
    )
    return { findings: [finding], breaks: ['device'] }
  }
  const { seenIp, relayServer } = push
  return { findings: [judgeSeen(push.seenIp, push.ownIp, serverIp, isHere)], learned: { seenIp, relayServer } }
}

function judgeSeen(seenIp: string, ownIp: string, serverIp: string, isHere: boolean): Finding {
  const evidence = `it takes this machine for ${seenIp}${seenIp === ownIp ? '' : `; its address is ${ownIp}`}`
  const isGateway = scopeOf(seenIp) === 'container' && seenIp.endsWith('.1')
  const crossesInternet = scopeOf(serverIp) === 'public' && scopeOf(ownIp) !== 'loopback'
  const isHidden = crossesInternet ? scopeOf(seenIp) !== 'public' : isGateway
  // Its own machine is seen through the container network in any case.
  if (isHere || seenIp === ownIp || !isHidden) return fine('the server sees where clients come from', evidence)
  return wrong(
    'sources-hidden',
    'the server does not see where clients come from: hole punching cannot work, and limits count devices instead of addresses',
    evidence,
    "give the container its host's network (network_mode: host), or switch the userland proxy off; behind a load balancer for TCP use PROXY_PROTOCOL=Y",
  )
}
