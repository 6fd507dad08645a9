import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { loadKeyPair } from '@tryst/service'
import type { BenchParts } from './bench.ts'
import { findFreePort } from './free-ports.ts'
import { GeneratorProcess } from './generator-process.ts'
import type { Target } from './job.ts'
import { RedisServer } from './redis-server.ts'
import { HOST, idServer, nodeOf, relay, type StartOptions, startServer, withSettings } from './server-process.ts'

/** Nodes that work as one server, or one server alone, with the generator that is made for it. */
export interface Site {
  readonly generator: GeneratorProcess
  readonly redis?: RedisServer
}

const KEYS = 'keys'

/** A key pair that all sites have. */
export async function makeKeys({ scratch }: BenchParts): Promise<void> {
  const folder = join(scratch, KEYS)
  mkdirSync(folder)
  await loadKeyPair({ key: '-', use: 'sign', folder })
}

/** One ID server, which stores its devices in SQLite. */
export async function loneIdServer(parts: BenchParts, devices: number): Promise<Site> {
  const { target, key } = await startServer(idServer(devices), parts.scratch, parts.children)
  return { generator: await GeneratorProcess.start({ target, key, devices }, parts.children) }
}

/** As many ID servers behind one shared port. @param settings of each */
export async function idServersAtOnePort(
  parts: BenchParts,
  { devices, nodes, settings = {} }: { devices: number; nodes: number; settings?: Readonly<Record<string, string>> },
): Promise<Site> {
  const redis = await RedisServer.start(parts.scratch, parts.children)
  const program = nodeOf(redis.url, idServer(devices), settings)
  const port = await findFreePort(HOST)
  const pids = [redis.pid]
  let key = ''
  for (let node = 0; node < nodes; node++) {
    const started = await start(parts, program, { port })
    pids.push(...started.target.pids)
    key = started.key
  }
  const target = { host: HOST, port, otherPort: port, pids }
  return { redis, generator: await GeneratorProcess.start({ target, key, devices }, parts.children) }
}

/** Two ID servers and two relays with a port for each; devices register with the first. Relays want tickets. */
export async function twoOfEach(parts: BenchParts, devices: number): Promise<Site> {
  const redis = await RedisServer.start(parts.scratch, parts.children)
  const relays = [await start(parts, nodeOf(redis.url, relay)), await start(parts, nodeOf(redis.url, relay))]
  const program = nodeOf(redis.url, idServer(devices))
  const first = await start(parts, program)
  const second = await start(parts, program)
  const target = joined(redis, [first.target, second.target, ...relays.map((one) => one.target)])
  return { redis, generator: await GeneratorProcess.start({ target, key: first.key, devices }, parts.children) }
}

/** One ID server and one relay that know nothing of each other but an address. */
export async function oneOfEach(parts: BenchParts, devices: number): Promise<Site> {
  const aRelay = await start(parts, { ...relay, arguments: (_host, port) => ['-p', `${port}`, '-k', '_'] })
  const relayServers = { RELAY_SERVERS: `${HOST}:${aRelay.target.port}` }
  const { target, key } = await start(parts, withSettings(idServer(devices), relayServers))
  const all = { ...target, pids: [...target.pids, ...aRelay.target.pids] }
  return { generator: await GeneratorProcess.start({ target: all, key, devices }, parts.children) }
}

/** Two relays that take whoever comes. */
export async function twoRelays(parts: BenchParts): Promise<Site> {
  const redis = await RedisServer.start(parts.scratch, parts.children)
  const settings = { RELAY_REQUIRE_TICKET: 'N', KEY: '' }
  const open = { ...nodeOf(redis.url, relay, settings), arguments: (_host: string, port: number) => ['-p', `${port}`] }
  const relays = [await start(parts, open), await start(parts, open)]
  const target = joined(
    redis,
    relays.map((one) => one.target),
  )
  return { redis, generator: await GeneratorProcess.start({ target, key: '', devices: 0 }, parts.children) }
}

export async function loneRelay(parts: BenchParts): Promise<Site> {
  const { target } = await startServer(relay, parts.scratch, parts.children)
  return { generator: await GeneratorProcess.start({ target, key: '', devices: 0 }, parts.children) }
}

function start(parts: BenchParts, program: Parameters<typeof startServer>[0], options: StartOptions = {}) {
  return startServer(program, parts.scratch, parts.children, { ...options, keys: join(parts.scratch, KEYS) })
}

/** The first of them is asked, the second is the other one; all of them count. */
function joined(redis: RedisServer, [first, second, ...more]: readonly Target[]): Target {
  if (!first || !second) throw new Error('a site has two nodes or more')
  const pids = [first, second, ...more].flatMap((target) => target.pids)
  return { ...first, otherPort: second.port, pids: [...pids, redis.pid] }
}
