import { fileURLToPath } from 'node:url'
import type { NodeId } from '@tryst/rendezvous'
import {
  createLogger,
  createMetrics,
  describeListenError,
  hasServerAsParent,
  installShutdown,
  ListenError,
  type LoadedKeyPair,
  loadKeyPair,
  looksLikeProbe,
  nodeLabel,
  parseHbbsConfig,
  readConfigOrExit,
  redisPlace,
  runWorkers,
  startWantedHealthServer,
  workerConfig,
  workerNumber,
} from '@tryst/service'
import { exposeSharedNode, SharedStateError, sharedStateError } from '@tryst/shared-node'
import { DatabaseOpenError } from '@tryst/state-sqlite'
import { AdminSocket } from './admin-socket.ts'
import { ApiClient } from './api-client.ts'
import { AttemptTrace } from './attempt-trace.ts'
import { administrationOf } from './device-administration.ts'
import { EventLog } from './event-log.ts'
import { Hbbs, randomUint32 } from './hbbs.ts'
import { exposeLimits, exposeRendezvous, proxyHeaderFailures } from './metrics.ts'
import { apiUrl, hbbsOptions } from './options.ts'
import type { Probe } from './probe/probe.ts'
import { watchSources } from './source-watch.ts'
import { openState, type State } from './state.ts'

const { config: wholeConfig, warnings } = readConfigOrExit(parseHbbsConfig)
const config = workerConfig(wholeConfig)
const log = createLogger({ service: 'hbbs', level: config.logLevel, format: config.logFormat })

/** Devices that were asked get their answer out, which takes up to 8 s. */
const WORKERS_CLOSE_WITHIN_MS = 9_500
if (config.workers > 1 && workerNumber() === undefined) await runAsWorkers()

/** What was started, last first: a signal may come before everything has. */
const started: { close(): Promise<void> }[] = []
const shutdown = installShutdown({
  log,
  close: async () => {
    for (const part of started) await part.close()
  },
})

try {
  for (const warning of warnings) log.warn(warning)
  const pair = redisPlace(config) ? 'shared' : 'own'
  const keys = await loadKeyPair({ key: config.key, use: 'sign', folder: process.cwd(), pair })
  for (const warning of keys.warnings) log.warn(warning)
  log.info({ from: keys.source }, keys.publicKey === undefined ? 'no key' : `Key: ${keys.publicKey}`)
  if (keys.expectedKey === undefined) log.warn('KEY is empty: controllers need no key, anybody may ask for devices')

  const state = await openState(config, keys, log)
  started.unshift(state)
  const metrics = createMetrics()
  const trace = openTrace(state)
  if (trace) started.unshift(trace)
  trace?.expose(metrics)
  const limits = exposeLimits(metrics)
  const events = new EventLog(log, (limit) => limits[limit]++)
  const api = apiUrl(config)
  const headerFailures = proxyHeaderFailures(log, metrics)
  const hbbs = await Hbbs.start(hbbsOptions(config, keys.expectedKey), {
    ...state,
    attempts: trace?.recorder,
    signer: keys.signer,
    sources: watchSources(log, metrics),
    httpProxy: api === undefined ? undefined : new ApiClient(api),
    events,
    onUnresolvedRelays: (relays) =>
      log.warn({ relays }, 'relays whose names cannot be resolved are not offered; check RELAY_SERVERS'),
    onConnectionLimit: (limit, source) => events.connectionLimit(limit, source),
    onProxyHeaderFailure: (failure, proxyIp) => headerFailures.note(failure, proxyIp),
    onSocketError: (err) => log.error({ err }, 'socket error'),
  })
  exposeRendezvous(hbbs.server, metrics)
  if (state.shared) {
    exposeSharedNode(state.shared, metrics)
    state.shared.node.tellOffers(newsOf(() => hbbs.server.counters.introduced))
  }

  started.unshift(hbbs)
  const administration = administrationOf(config, state, hbbs.server)
  const admin = await AdminSocket.open({ path: config.adminSocket, administration, log })
  if (admin) started.unshift(admin)
  const probe = await startProbe(state, keys)
  if (probe) started.unshift(probe)
  probe?.expose(metrics)
  const readiness = () => ({ ...hbbs.readiness, ...(probe && { detail: probe.detail }) })
  const health = await startWantedHealthServer({ bind: config.metricsBind, log, metrics, readiness })
  // Asked until the very end.
  if (health) started.push(health)
  const { relays } = hbbs.server
  log.info({ ports: hbbs.ports, relays: relays.live, fallback: relays.fallback }, 'listening')
  process.send?.({ ready: true })
} catch (error) {
  // What it was starting with is being closed.
  if (!shutdown.isStopping) {
    log.fatal(await inWords(sharedStateError(error)))
    process.exit(1)
  }
}

/** One for all workers of a program. */
async function startProbe({ identities }: State, keys: LoadedKeyPair): Promise<Probe | undefined> {
  if (!config.probe || (workerNumber() ?? 1) !== 1) return undefined
  const [{ Probe }, { probeTarget }] = await Promise.all([
    import('./probe/probe.ts'),
    import('./probe/probe-target.ts'),
  ])
  const target = probeTarget(config, keys)
  return Probe.start({ target, identities, log })
}

function openTrace({ trace: store, shared }: State): AttemptTrace | undefined {
  if (config.traceKeepMs === 0) return undefined
  const node = nodeLabel(config)
  const nameOf = (other: string) => shared?.node.others.get(other as NodeId)?.name
  const relay = !shared && hasServerAsParent() ? process : undefined
  return new AttemptTrace({ store, node, nameOf, random: randomUint32, isIgnored: looksLikeProbe, log, relay })
}

/** Whether a number has grown since it was asked last. */
function newsOf(read: () => number): () => boolean {
  let before = 0
  return () => {
    const last = before
    before = read()
    return before > last
  }
}

/** Ends this process with its workers. */
async function runAsWorkers(): Promise<never> {
  try {
    const program = fileURLToPath(new URL('../bin/hbbs', import.meta.url))
    const closeWithinMs = WORKERS_CLOSE_WITHIN_MS
    process.exit(await runWorkers({ name: 'hbbs', program, args: process.argv.slice(2), config, log, closeWithinMs }))
  } catch (error) {
    log.fatal(await inWords(error))
    process.exit(1)
  }
}

/** What an operator can do something about in one line; everything else with its stack. */
async function inWords(error: unknown): Promise<unknown> {
  if (error instanceof DatabaseOpenError || error instanceof ListenError) return error.message
  if (error instanceof SharedStateError) return error.message
  if (error instanceof Error && error.name === 'KeyFileError') return error.message
  if (error instanceof Error && 'syscall' in error && (error.syscall === 'listen' || error.syscall === 'bind')) {
    const port = 'port' in error ? Number(error.port) : config.port
    const described = await describeListenError(error, { port, protocol: error.syscall === 'bind' ? 'udp' : 'tcp' })
    return described.message
  }
  return { err: error }
}
