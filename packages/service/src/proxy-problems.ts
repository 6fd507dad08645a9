import type { ConfigProblem } from './config-error.ts'

/** Settings about proxies that contradict each other. */
export function proxyProblems(config: {
  readonly proxyProtocol: boolean
  readonly trustedProxies: readonly string[]
}): ConfigProblem[] {
  if (!config.proxyProtocol || config.trustedProxies.length > 0) return []
  const remedy = 'nobody would be believed: name the load balancer in TRUSTED_PROXIES, or leave PROXY_PROTOCOL out'
  return [{ setting: 'PROXY_PROTOCOL=Y, TRUSTED_PROXIES=none', source: 'settings together', remedy }]
}
