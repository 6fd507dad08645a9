import { once } from 'node:events'
import { createServer } from 'node:net'
import { type BindAddress, findPortOwner, type StandaloneConfig } from '@tryst/service'
import { formatBind } from './service-arguments.ts'

export interface MetricsAddresses {
  readonly urls: readonly string[]
  readonly warnings: readonly string[]
}

/** Where metrics will be found, and who is in the way where they will not. */
export async function metricsAddresses({
  hbbs,
  hbbr,
  api,
}: Pick<StandaloneConfig, 'hbbs' | 'hbbr' | 'api'>): Promise<MetricsAddresses> {
  const urls: string[] = []
  const warnings: string[] = []
  for (const [name, bind] of Object.entries({
    hbbs: hbbs.metricsBind,
    hbbr: hbbr.metricsBind,
    api: api?.metricsBind,
  })) {
    if (bind === undefined) continue
    if (bind.whenTaken === 'fail' || (await isFree(bind))) {
      urls.push(`http://${formatBind(bind)}/metrics`)
      continue
    }
    const owner = await findPortOwner(bind.port, 'tcp')
    const taken = owner === undefined ? 'is taken' : `is taken by ${owner.name} (process ${owner.pid})`
    warnings.push(`${name} serves no metrics, since ${formatBind(bind)} ${taken}. METRICS_BIND names another.`)
  }
  return { urls, warnings }
}

/** Whether nobody listens there; whatever else is in the way is left to the service to report. */
async function isFree({ host, port }: BindAddress): Promise<boolean> {
  const server = createServer()
  try {
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')
  } finally {
    server.close()
  }
}
