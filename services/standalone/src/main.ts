import { accessSync, constants } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  clientAddresses,
  KeyFileError,
  type LoadedKeyPair,
  loadKeyPair,
  makeFolder,
  parseStandaloneConfig,
  readConfigOrExit,
  ServiceProcess,
  TICKETS_FROM_PARENT,
} from '@tryst/service'
import { metricsAddresses } from './metrics-addresses.ts'
import { serviceArguments } from './service-arguments.ts'
import { Supervisor } from './supervisor.ts'
import { newKeyWarning, reachWarnings, welcomeText } from './welcome.ts'

/** Services let what was already offered come about, which takes them up to 8 s. */
const CLOSE_WITHIN_MS = 9_500

const { config, warnings } = readConfigOrExit(parseStandaloneConfig)
const { dataDir } = config
makeFolderOrExit(dataDir)
const keyPair = await keyPairOrExit()
const metrics = await metricsAddresses(config)

const args = serviceArguments(process.argv.slice(2), config)
const relay = start('hbbr', args.hbbr, handOnTrace)
const idServer = start('hbbs', args.hbbs, handOnTicket)
const services = [idServer, relay, ...(args.api ? [start('api', args.api)] : [])]
const supervisor = new Supervisor({
  services,
  closeWithinMs: CLOSE_WITHIN_MS + config.hbbs.drainSeconds * 1000,
})

for (const signal of ['SIGINT', 'SIGTERM', 'SIGQUIT'] as const) process.on(signal, () => supervisor.stop(signal))
// A closed terminal ends what was started in it; elsewhere the signal means "read the lists again".
process.on('SIGHUP', () => (process.stdout.isTTY ? supervisor.stop('SIGTERM') : supervisor.notify('hbbr', 'SIGHUP')))
process.once('disconnect', () => supervisor.stop('SIGTERM'))
process.channel?.unref()

supervisor.ready().then(greet, () => {}) // Who ends early is told below.
const { status, fault } = await supervisor.end()
if (fault !== undefined) process.stderr.write(`tryst: ${fault}\n`)
process.exitCode = status

function makeFolderOrExit(folder: string): void {
  try {
    makeFolder(folder)
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    process.stderr.write(`tryst: the data folder ${folder} cannot be used (${reason}); set DATA_DIR to another one\n`)
    process.exit(1)
  }
}

/** The pair that the services will find; made here when there is none, so that we know. */
async function keyPairOrExit(): Promise<LoadedKeyPair> {
  try {
    return await loadKeyPair({ key: config.hbbs.key, use: 'sign', folder: dataDir })
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error
    process.stderr.write(`tryst: ${error.message}\n`)
    process.exit(1)
  }
}

function start(
  name: 'hbbs' | 'hbbr' | 'api',
  serviceArgs: readonly string[],
  onMessage?: (message: unknown) => void,
): ServiceProcess {
  const program = fileURLToPath(new URL(`../../${name}/bin/${name}`, import.meta.url))
  const env = { ...process.env, [TICKETS_FROM_PARENT]: config.hbbr.requireTicket ? 'Y' : 'N' }
  return new ServiceProcess({
    ...{ name, program, args: serviceArgs, folder: dataDir, env },
    ...(onMessage && { onMessage }),
  })
}

/** What the ID server has introduced, for a relay that serves nothing else. */
function handOnTicket(message: unknown): void {
  if (typeof message === 'object' && message !== null && 'ticket' in message) relay.send(message)
}

/** What the relay has seen of sessions, for the ID server's record of attempts. */
function handOnTrace(message: unknown): void {
  if (typeof message === 'object' && message !== null && 'trace' in message) idServer.send(message)
}

function greet(): void {
  const addresses = clientAddresses(config.hbbs.publicHost, networkInterfaces())
  const text = welcomeText({
    key: keyPair.publicKey ?? '',
    addresses,
    idPort: config.hbbs.port,
    relayPort: config.hbbr.port,
    apiPort: config.api?.port,
    apiUrl: config.api?.publicUrl,
    dataFolder: dataDir,
    metrics: metrics.urls,
    to: process.stdout.isTTY ? 'terminal' : 'file',
    warnings: [
      ...warnings,
      ...reachWarnings(addresses, shortPath(`${dataDir}/.env`)),
      ...(keyPair.source === 'made files' ? [newKeyWarning(dataDir)] : []),
      ...metrics.warnings,
    ],
  })
  process.stdout.write(`${text}\n`)
}

function shortPath(path: string): string {
  const fromHere = relative(process.cwd(), path)
  return fromHere.startsWith('..') ? path : fromHere
}
