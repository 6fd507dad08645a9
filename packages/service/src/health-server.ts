import { describeListenError, ListenError } from './listen-error.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import type { BindAddress } from './value-schemas.ts'

/** Why a service does not want new work: shown to whoever asks. `detail`: lines from which that does not follow. */
export type Readiness =
  | { readonly ready: true; readonly detail?: string }
  | { readonly ready: false; readonly reason: string }

export interface HealthServerOptions {
  readonly bind: { readonly host: string; readonly port: number }
  readonly metrics: Metrics
  readonly readiness: () => Readiness
}

export interface HealthServer {
  /** Where it listens; the port is the real one where 0 was asked for. */
  readonly address: { readonly host: string; readonly port: number }
  /** Idempotent. */
  close(): Promise<void>
}

/**
 * Serves `/livez` (200 while the process runs), `/readyz` (503 with the reason while it wants no new work) and
 * `/metrics`. Throws a `ListenError` when the port cannot be had; whether that matters is for the caller to say.
 */
export async function startHealthServer({ bind, metrics, readiness }: HealthServerOptions): Promise<HealthServer> {
  // Loaded only where it is wanted: it takes time and memory that a server without metrics need not spend.
  const { fastify } = await import('fastify')
  const server = fastify({ logger: false, forceCloseConnections: true, requestTimeout: 5_000 })
  server.get('/livez', async (_request, reply) => reply.type('text/plain').send('ok\n'))
  server.get('/readyz', async (_request, reply) => {
    const state = readiness()
    return reply
      .type('text/plain')
      .code(state.ready ? 200 : 503)
      .send(state.ready ? `ready\n${state.detail ?? ''}` : `not ready: ${state.reason}\n`)
  })
  server.get('/metrics', async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  )
  try {
    await server.listen({ host: bind.host, port: bind.port })
  } catch (error) {
    await server.close()
    throw await describeListenError(error, { port: bind.port, protocol: 'tcp', setting: 'METRICS_BIND' })
  }
  const listening = server.server.address()
  const address = typeof listening === 'object' && listening !== null ? listening : undefined
  let closing: Promise<void> | undefined
  return {
    address: { host: address?.address ?? bind.host, port: address?.port ?? bind.port },
    close() {
      closing ??= server.close()
      return closing
    },
  }
}

export interface WantedHealthServer extends Omit<HealthServerOptions, 'bind'> {
  /** Setting METRICS_BIND. */
  readonly bind: BindAddress | undefined
  readonly log: Logger
}

/** The health server as METRICS_BIND asks for it: none when unset, a warning instead of one where it may be missing. */
export async function startWantedHealthServer({
  bind,
  log,
  ...options
}: WantedHealthServer): Promise<HealthServer | undefined> {
  if (bind === undefined) return undefined
  try {
    return await startHealthServer({ ...options, bind })
  } catch (error) {
    if (bind.whenTaken !== 'warn' || !(error instanceof ListenError)) throw error
    log.warn(`no metrics: ${error.message}`)
    return undefined
  }
}
