import { noTickets } from '@tryst/rendezvous'
import {
  createLogger,
  createMetrics,
  describeListenError,
  installShutdown,
  ListenError,
  loadKeyPair,
  parseHbbsConfig,
  readConfigOrExit,
  startWantedHealthServer,
} from '@tryst/service'
import { DatabaseOpenError, InProcessRelayDirectory, LoneNode, SqliteIdentityStore } from '@tryst/state-sqlite'
import { EventLog } from './event-log.ts'
import { Hbbs } from './hbbs.ts'
import { exposeLimits, exposeRendezvous } from './metrics.ts'
import { hbbsOptions } from './options.ts'

const { config, warnings } = readConfigOrExit(parseHbbsConfig)
const log = createLogger({ service: 'hbbs', level: config.logLevel, format: config.logFormat })

/** What was started, last first: a signal may come before everything has. */
const started: { close(): Promise<void> }[] = []
installShutdown({
  log,
  close: async () => {
    for (const part of started) await part.close()
  },
})

try {
  for (const warning of warnings) log.warn(warning)
  const keys = await loadKeyPair({ key: config.key, use: 'sign', folder: process.cwd() })
  for (const warning of keys.warnings) log.warn(warning)
  log.info({ from: keys.source }, keys.publicKey === undefined ? 'no key' : `Key: ${keys.publicKey}`)
  if (keys.expectedKey === undefined) log.warn('KEY is empty: controllers need no key, anybody may ask for devices')

  const identities = new SqliteIdentityStore({ path: config.dbPath, durability: config.sqliteSync })
  started.unshift(identities)
  log.info({ path: config.dbPath, devices: identities.count() }, 'database open')
  const metrics = createMetrics()
  const limits = exposeLimits(metrics)
  const events = new EventLog(log, (limit) => limits[limit]++)
  const hbbs = await Hbbs.start(hbbsOptions(config, keys.expectedKey), {
    identities,
    cluster: new LoneNode(),
    announcedRelays: new InProcessRelayDirectory(Date.now),
    tickets: noTickets,
    signer: keys.signer,
    events,
    onUnresolvedRelays: (relays) =>
      log.warn({ relays }, 'relays whose names cannot be resolved are not offered; check RELAY_SERVERS'),
    onConnectionLimit: (limit, source) => events.connectionLimit(limit, source),
    onSocketError: (err) => log.error({ err }, 'socket error'),
  })
  exposeRendezvous(hbbs.server, metrics)

  started.unshift(hbbs)
  const readiness = () => hbbs.readiness
  const health = await startWantedHealthServer({ bind: config.metricsBind, log, metrics, readiness })
  // Asked until the very end.
  if (health) started.push(health)
  const { relays } = hbbs.server
  log.info({ ports: hbbs.ports, relays: relays.live, fallback: relays.fallback }, 'listening')
  process.send?.({ ready: true })
} catch (error) {
  log.fatal(await inWords(error))
  process.exit(1)
}

/** What an operator can do something about in one line; everything else with its stack. */
async function inWords(error: unknown): Promise<unknown> {
  if (error instanceof DatabaseOpenError || error instanceof ListenError) return error.message
  if (error instanceof Error && error.name === 'KeyFileError') return error.message
  if (error instanceof Error && 'syscall' in error && (error.syscall === 'listen' || error.syscall === 'bind')) {
    const port = 'port' in error ? Number(error.port) : config.port
    const described = await describeListenError(error, { port, protocol: error.syscall === 'bind' ? 'udp' : 'tcp' })
    return described.message
  }
  return { err: error }
}
