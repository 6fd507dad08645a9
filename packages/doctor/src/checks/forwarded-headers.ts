import { scopeOf } from '../address-scope.ts'
import { check, type Known, type Verdict } from '../check.ts'
import { fine, wrong } from '../finding.ts'
import { webSocketNetwork } from '../probes/network.ts'
import { pushToOwnDevice } from '../probes/push.ts'

export interface ForwardedFacts {
  /** Who the server takes us for through the proxy. */
  readonly seenByProxy: string | undefined
  /** The same without a proxy; undefined: there is no such way. */
  readonly seenDirectly: string | undefined
  readonly ownIp: string
}

/** Whether the servers hear from the reverse proxy who is behind it. */
export const forwardedHeaders = check<ForwardedFacts>({
  name: 'forwarded headers',
  needs: ['host', 'proxy', 'state', 'key', 'device'],
  applies: ({ proxy, device }) => proxy !== undefined && device !== undefined,
  probe: async (known: Known) => {
    const { device, proxy, target, seenIp } = known
    if (!device || !proxy) throw new Error('a device and a proxy were expected')
    const server = { host: proxy.host, port: target.port }
    const push = await pushToOwnDevice(webSocketNetwork(known, proxy), server, device, target.limitMs).catch(
      () => undefined,
    )
    const seenDirectly = target.mode === 'all' ? seenIp : undefined
    return { seenByProxy: push?.seenIp, seenDirectly, ownIp: push?.ownIp ?? '' }
  },
  judge: judgeForwarded,
})

export function judgeForwarded({ seenByProxy, seenDirectly, ownIp }: ForwardedFacts): Verdict {
  if (seenByProxy === undefined) return { findings: [] }
  const evidence = `through the proxy the server takes this machine for ${seenByProxy}`
  const isOurs = seenByProxy === (seenDirectly ?? ownIp)
  // One machine may have several addresses; one that only the proxy's own network knows is none of them.
  const isDifferentFamily = seenDirectly !== undefined && seenByProxy.includes(':') !== seenDirectly.includes(':')
  const isProxys = scopeOf(seenByProxy) !== 'public'
  if (isOurs || isDifferentFamily || !isProxys)
    return { findings: [fine('the reverse proxy tells who its clients are', evidence)] }
  const instead = seenDirectly === undefined ? '' : `, without it for ${seenDirectly}`
  const finding = wrong(
    'headers-missing',
    'the servers do not hear from the reverse proxy who its clients are',
    `${evidence}${instead}`,
    'let the proxy set X-Real-IP (nginx: proxy_set_header X-Real-IP $remote_addr), and name its address in TRUSTED_PROXIES of hbbs and hbbr',
  )
  return { findings: [finding] }
}
