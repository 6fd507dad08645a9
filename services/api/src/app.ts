import rateLimit from '@fastify/rate-limit'
import { sourcePrefix } from '@tryst/protocol'
import type { Logger } from '@tryst/service'
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify'
import { ApiError, answerErrors, answerFrameworkError } from './api-error.ts'
import { nameClients } from './client-address.ts'
import { acceptJsonBodies } from './json-bodies.ts'
import type { ApiPorts } from './ports.ts'
import { addressBookRoutes } from './routes/address-book.ts'
import { auditNoteRoutes, auditRoutes } from './routes/audit.ts'
import { deployRoutes } from './routes/deploy.ts'
import { deviceRoutes } from './routes/devices.ts'
import { describeRoutes, docsRoute } from './routes/docs.ts'
import { assignmentRoutes, groupRoutes } from './routes/groups.ts'
import { currentUserRoutes, loginRoutes } from './routes/login.ts'
import { statusPageRoutes } from './routes/status-page.ts'
import { requireSession } from './session-guard.ts'
import type { ServerFacts } from './status/status-page.ts'

export interface AppOptions {
  readonly version: string
  readonly log: Logger
  readonly trustedProxies: readonly string[]
  readonly requestsPerMinute: number
  readonly loginsPerMinute: number
  /** In front of every path where clients are told a URL with a path; empty: nothing. */
  readonly pathPrefix: string
  /** Undefined: there is no status page. */
  readonly describeServer: ((asked: string) => Promise<ServerFacts>) | undefined
}

/** A heartbeat has some hundred bytes; routes for more say so themselves. */
const BODY_LIMIT_BYTES = 64 * 1024
/** Addresses whose requests are counted at once; of more, those that were silent for longest are forgotten. */
const COUNTED_ADDRESSES = 20_000

/** No client reads them; `retry-after` goes with the refusal. */
const NO_HEADERS = { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false }

/** All routes, with what holds for each of them. */
export async function createApp(options: AppOptions, ports: ApiPorts): Promise<FastifyInstance> {
  const { log, pathPrefix } = options
  const app = fastify({
    loggerInstance: log as FastifyBaseLogger,
    // Paths can hold secrets; routes are logged below.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT_BYTES,
    routerOptions: { ignoreTrailingSlash: true },
    // Members that nobody knows are dropped, and nothing is taken for what it is not. The schemas are our own: to check
    // them against the schema of schemas would take most of the time of a start.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: true, validateSchema: false } },
    frameworkErrors: answerFrameworkError,
    rewriteUrl: ({ url = '/' }) => withoutPrefix(url, pathPrefix),
  })
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' })
  })
  app.addHook('onResponse', async ({ method, routeOptions, clientIp }, { statusCode, elapsedTime }) => {
    log.debug(
      { method, route: routeOptions.url, status: statusCode, ms: Math.round(elapsedTime), from: clientIp },
      'answered',
    )
  })
  nameClients(app, options.trustedProxies)
  acceptJsonBodies(app)
  await app.register(rateLimit, {
    max: options.requestsPerMinute,
    timeWindow: 60_000,
    cache: COUNTED_ADDRESSES,
    addHeaders: NO_HEADERS,
    addHeadersOnExceeding: NO_HEADERS,
    keyGenerator: ({ clientIp }) => sourcePrefix(clientIp),
    errorResponseBuilder: () => new ApiError(429, 'Too many requests: try again in a minute'),
  })
  answerErrors(app)
  await describeRoutes(app, options.version)

  const { accounts, deployments, devices, audit } = ports
  await app.register(async (open) => {
    deviceRoutes(open, devices)
    deployRoutes(open, deployments, options.loginsPerMinute)
    loginRoutes(open, accounts, options.loginsPerMinute)
    auditRoutes(open, audit)
    docsRoute(open)
    if (options.describeServer) statusPageRoutes(open, options.describeServer)
  })
  await app.register(async (closed) => {
    requireSession(closed, accounts)
    currentUserRoutes(closed)
    addressBookRoutes(closed)
    groupRoutes(closed)
    assignmentRoutes(closed)
    auditNoteRoutes(closed)
  })
  return app
}

/** Proxies commonly leave the path as it is. */
function withoutPrefix(url: string, prefix: string): string {
  if (prefix === '' || !url.startsWith(prefix)) return url
  const rest = url.slice(prefix.length)
  return rest.startsWith('/') ? rest : rest === '' || rest.startsWith('?') ? `/${rest}` : url
}
