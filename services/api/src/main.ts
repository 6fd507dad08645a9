import {
  type ApiConfig,
  createLogger,
  createMetrics,
  describeListenError,
  findPublicKey,
  installShutdown,
  ListenError,
  packageVersion,
  parseApiConfig,
  readConfigOrExit,
  startWantedHealthServer,
} from '@tryst/service'
import { Api } from './api.ts'
import { StateDeployments } from './deployments.ts'
import { LimitLog } from './limit-log.ts'
import { describeMetrics } from './metrics.ts'
import { noAccounts } from './no-accounts.ts'
import type { ServerFacts } from './status/status-page.ts'

const { config, warnings } = readConfigOrExit(parseApiConfig)
const log = createLogger({ service: 'api', level: config.logLevel, format: config.logFormat })
const limits = new LimitLog(log)
const folder = process.cwd()
const deployments = new StateDeployments(config, log)

/** What has to be closed, in this order. */
const running: { close(): Promise<void> }[] = []
const shutdown = installShutdown({
  log,
  close: async () => {
    for (const part of running) await part.close()
  },
})

try {
  for (const warning of warnings) log.warn(warning)
  const api = await listen()
  running.push(api, deployments)
  await serveMetrics(api)
  log.info({ port: api.port }, 'listening')
  // For a parent that waits until we listen.
  process.send?.({ ready: true })
} catch (error) {
  if (!shutdown.isStopping) {
    if (!(error instanceof ListenError)) throw error
    log.fatal(error.message)
    process.exit(1)
  }
}

async function listen(): Promise<Api> {
  try {
    return await Api.start(
      {
        ...{ port: config.port, bind: config.bind, log, version: packageVersion },
        trustedProxies: config.trustedProxies,
        connectionsPerSource: config.connectionsPerSource,
        connectionsTotal: config.connectionsTotal,
        requestsPerMinute: config.requestsPerMinute,
        loginsPerMinute: config.loginsPerMinute,
        pathPrefix: config.publicUrl === undefined ? '' : new URL(config.publicUrl).pathname.replace(/\/$/, ''),
        describeServer: config.statusPage ? (asked) => serverFacts(config, asked) : undefined,
        onConnectionLimit: (limit, source) => limits.hit(limit, source),
      },
      { ...noAccounts, deployments },
    )
  } catch (error) {
    throw await describeListenError(error, {
      ...{ port: config.port, protocol: 'tcp' },
      setting: 'PORT (clients derive this port), or with npm start API_URL to the API that is there, or to none',
    })
  }
}

async function serveMetrics(api: Api): Promise<void> {
  if (config.metricsBind === undefined) return
  const metrics = createMetrics()
  describeMetrics(metrics, api)
  const readiness = () => (api.isClosing ? ({ ready: false, reason: 'stopping' } as const) : ({ ready: true } as const))
  const health = await startWantedHealthServer({ bind: config.metricsBind, log, metrics, readiness })
  if (health) running.push(health)
}

/** Where no name is set, the browser has found one that works. */
async function serverFacts({ key, publicHost, publicUrl, port }: ApiConfig, asked: string): Promise<ServerFacts> {
  return {
    host: publicHost ?? (/^[\w.:[\]-]{1,255}$/.test(asked) ? asked : 'localhost'),
    idPort: port + 2,
    key: await findPublicKey(key, folder),
    apiUrl: publicUrl,
  }
}
