import { fileURLToPath } from 'node:url'
import { DEFAULT_RELAY_SETTINGS, type RelaySettings } from '@tryst/relay'
import {
  CountedWarnings,
  createLogger,
  createMetrics,
  describeListenError,
  type HbbrConfig,
  installShutdown,
  KeyFileError,
  ListenError,
  type LoadedKeyPair,
  type Logger,
  loadKeyPair,
  parseHbbrConfig,
  readConfigOrExit,
  redisPlace,
  runWorkers,
  startWantedHealthServer,
  ticketsGoThroughParent,
  workerConfig,
  workerNumber,
} from '@tryst/service'
import { exposeSharedNode, SharedStateError, sharedStateError } from '@tryst/shared-node'
import { PROXY_HEADER_FAILURES, PROXY_HEADER_REMEDY } from '@tryst/transport'
import { newAddressLists, readAddressLists } from './address-list-files.ts'
import { EventLog } from './event-log.ts'
import { Hbbr, type HbbrParts } from './hbbr.ts'
import { HealthBroker } from './health-broker.ts'
import { describeMetrics, describeTrace } from './metrics.ts'
import { ParentTickets } from './parent-tickets.ts'
import { relayClock } from './relay-clock.ts'
import { openRelayTrace, type RelayTrace } from './relay-trace.ts'
import { SharedRelay } from './shared-relay.ts'

const { config: wholeConfig, warnings } = readConfigOrExit(parseHbbrConfig)
const config = workerConfig(wholeConfig)
const log = createLogger({ service: 'hbbr', level: config.logLevel, format: config.logFormat })
const folder = process.cwd()
const headerFailures = new CountedWarnings({
  log,
  message: 'a connection of a trusted proxy was closed: it has no PROXY protocol header',
  remedy: PROXY_HEADER_REMEDY,
  reasons: PROXY_HEADER_FAILURES,
})

/** What was offered comes about, which takes up to 8 s. */
const CLOSE_WITHIN_MS = 9_500

/** What has to be closed, in this order. */
const running: { close(): Promise<void> }[] = []

const shutdown = installShutdown({
  log,
  close: async () => {
    for (const part of running) await part.close()
  },
})

async function start(): Promise<void> {
  for (const warning of warnings) log.warn(warning)
  const lists = newAddressLists()
  readAddressLists(lists, folder, log)
  const pair = redisPlace(config) ? 'shared' : 'own'
  const keyPair = await loadKeyPair({ key: config.key, use: 'compare', folder, pair })
  const shared = await SharedRelay.open(config, keyPair, log)
  if (shared) running.push(shared)
  const eventLog = new EventLog(log)
  const trace = openRelayTrace(config, { eventLog, shared, log })
  if (trace) running.unshift(trace.writer)
  const hbbr = await listen(keyPair, { lists, eventLog, events: trace?.events }, shared)
  // It ends before what it uses.
  running.unshift(hbbr)
  await shared?.start(hbbr)
  await serveMetrics(hbbr, shared, trace)
  process.on('SIGHUP', () => readAddressLists(lists, folder, log))
  logStart(log, config, keyPair, hbbr)
  // For a parent that waits until we listen.
  process.send?.({ ready: true })
}

/** Without a listener nothing is measured: watching the event loop alone wakes the process a hundred times a second. */
async function serveMetrics(hbbr: Hbbr, shared: SharedRelay | undefined, trace: RelayTrace | undefined): Promise<void> {
  if (config.metricsBind === undefined) return
  const metrics = createMetrics()
  describeMetrics(metrics, hbbr, headerFailures)
  if (trace) describeTrace(metrics, trace)
  if (shared) exposeSharedNode(shared.node, metrics)
  const readiness = () =>
    shutdown.isStopping ? ({ ready: false, reason: 'stopping' } as const) : ({ ready: true } as const)
  const health = await startWantedHealthServer({ bind: config.metricsBind, log, metrics, readiness })
  if (health) running.push(health)
}

async function listen(
  keyPair: LoadedKeyPair,
  noting: Pick<HbbrParts, 'lists' | 'eventLog' | 'events'>,
  shared: SharedRelay | undefined,
): Promise<Hbbr> {
  const onProxyHeaderFailure = headerFailures.note.bind(headerFailures)
  const parts = shared ? { broker: shared.broker, offers: shared.offers } : ticketsOfParent()
  const { secretKey } = keyPair
  const broker = parts.broker && secretKey ? new HealthBroker(parts.broker, secretKey) : parts.broker
  try {
    return await Hbbr.start(
      {
        port: config.port,
        bind: config.bind,
        reusePort: config.reusePort,
        hasSiblings: workerNumber() !== undefined,
        settings: relaySettings(config, keyPair.expectedKey),
        connectionsPerSource: config.connectionsPerSource,
        connectionsTotal: config.connectionsTotal,
        trustedProxies: config.trustedProxies,
        proxyProtocol: config.proxyProtocol,
        textConsole: config.console ? 'on' : 'off',
        reading: 'pooled',
        drainMs: config.drainSeconds * 1000,
      },
      { ...noting, onProxyHeaderFailure, ...parts, broker },
    )
  } catch (error) {
    throw await describeListenError(error, {
      port: portOf(error) ?? config.port,
      protocol: 'tcp',
      setting: '-p or PORT',
    })
  }
}

/** Tickets of the ID server that the same parent runs, if any. */
function ticketsOfParent(): Pick<HbbrParts, 'broker' | 'offers'> {
  if (!ticketsGoThroughParent()) return {}
  const tickets = new ParentTickets({ clock: relayClock, source: process })
  const offers = { withdraw: async () => {}, mayCome: (withinMs: number) => tickets.outstanding(withinMs) > 0 }
  return { broker: tickets, offers }
}

/** The port that Node's listen error names. */
const portOf = (error: unknown): number | undefined =>
  error instanceof Error && 'port' in error && typeof error.port === 'number' ? error.port : undefined

const relaySettings = (config: HbbrConfig, expectedKey: string | undefined): RelaySettings => ({
  ...DEFAULT_RELAY_SETTINGS,
  expectedKey,
  firstMessageMaxBytes: config.firstMessageMaxBytes,
  firstMessageMs: config.firstMessageTimeoutMs,
  waiting: { perSource: config.waitingPerSource, total: config.waitingTotal },
  brokered: {
    ...DEFAULT_RELAY_SETTINGS.brokered,
    limits: { perSource: config.unticketedPerSource, total: config.unticketedTotal },
    whenUnavailable: (config.ticketFail ?? (expectedKey ? 'open' : 'closed')) === 'open' ? 'wait' : 'turn-away',
  },
  bandwidth: config,
})

function logStart(log: Logger, config: HbbrConfig, keyPair: LoadedKeyPair, hbbr: Hbbr): void {
  for (const warning of keyPair.warnings) log.warn(warning)
  if (keyPair.publicKey !== undefined) log.info(`Key: ${keyPair.publicKey}`)
  else log.warn('no key is set: anybody may use this relay; start it with -k _ and the key files of the ID server')
  log.info(`DOWNGRADE_THRESHOLD: ${config.downgradeThreshold}`)
  log.info(`DOWNGRADE_START_CHECK: ${config.downgradeStartSeconds}s`)
  log.info(`LIMIT_SPEED: ${config.limitedMegabits}Mb/s`)
  log.info(`TOTAL_BANDWIDTH: ${config.totalMegabits}Mb/s`)
  log.info(`SINGLE_BANDWIDTH: ${config.singleMegabits}Mb/s`)
  log.info(`Listening on tcp :${hbbr.ports.tcp}`)
  log.info(`Listening on websocket :${hbbr.ports.webSocket}`)
  log.info('Start')
}

/** Ends this process with its workers. */
async function runAsWorkers(): Promise<never> {
  const closeWithinMs = CLOSE_WITHIN_MS + config.drainSeconds * 1000
  const program = fileURLToPath(new URL('../bin/hbbr', import.meta.url))
  const args = process.argv.slice(2)
  try {
    process.exit(await runWorkers({ name: 'hbbr', program, args, config, log, closeWithinMs }))
  } catch (error) {
    throw await describeListenError(error, { port: config.port, protocol: 'tcp', setting: '-p or PORT' })
  }
}

try {
  if (config.workers > 1 && workerNumber() === undefined) await runAsWorkers()
  await start()
} catch (thrown) {
  // Where it was told to stop, what it was starting with is being closed.
  if (!shutdown.isStopping) {
    const error = sharedStateError(thrown)
    if (!(error instanceof ListenError || error instanceof KeyFileError || error instanceof SharedStateError))
      throw error
    log.fatal(error.message)
    process.exit(1)
  }
}
