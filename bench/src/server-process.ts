import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, cpSync, mkdtempSync, openSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChildProcesses } from './child-processes.ts'
import { findFreePort } from './free-ports.ts'
import type { Target } from './job.ts'
import { processTree } from './process-usage.ts'

export const HOST = '127.0.0.1'
const START_TIMEOUT_MS = 20_000
const BENCH = dirname(import.meta.dirname)
const SERVICES = join(dirname(BENCH), 'services')

/** A program to measure and how it is told where to listen. */
export interface ServerProgram {
  readonly name: string
  readonly command: string
  readonly arguments: (host: string, port: number) => readonly string[]
  readonly settings: Readonly<Record<string, string>>
  /** What its log says once it listens. Default: it listens when somebody can connect. */
  readonly listening?: string
}

export interface RunningServer {
  readonly target: Target
  /** Empty, or the public key that it made for itself. */
  readonly key: string
}

/** All load comes from one machine, so what is there to hold one source down is lifted. */
const NO_LIMIT = '1000000'

export const idServer = (devices: number): ServerProgram => ({
  name: 'hbbs',
  command: join(SERVICES, 'hbbs', 'bin', 'hbbs'),
  arguments: (_host, port) => ['-p', String(port), '-k', '_'],
  settings: {
    BIND: HOST,
    PUBLIC_HOST: HOST,
    NEW_IDS_PER_MINUTE: NO_LIMIT,
    NEW_IDS_PER_DAY: NO_LIMIT,
    LOOKUPS_PER_MINUTE: NO_LIMIT,
    MAX_DEVICES: String(Math.max(1_000_000, 2 * devices)),
  },
})

export const relay: ServerProgram = {
  name: 'hbbr',
  command: join(SERVICES, 'hbbr', 'bin', 'hbbr'),
  arguments: (_host, port) => ['-p', String(port)],
  settings: {
    BIND: HOST,
    PUBLIC_HOST: HOST,
    SINGLE_BANDWIDTH: NO_LIMIT,
    TOTAL_BANDWIDTH: NO_LIMIT,
    LIMIT_SPEED: NO_LIMIT,
    DOWNGRADE_START_CHECK: NO_LIMIT,
  },
}

export const baseline = (name: 'udp-echo' | 'broker' | 'tcp-pipe'): ServerProgram => ({
  name,
  command: process.execPath,
  arguments: (host, port) => [join(BENCH, 'baselines', `${name}.ts`), host, String(port)],
  settings: {},
})

/** The ID server or the relay as one of the nodes that share this Redis. */
export function nodeOf(
  redisUrl: string,
  program: ServerProgram,
  settings: Readonly<Record<string, string>> = {},
): ServerProgram {
  // Nodes share a port: another one accepts connections already.
  const listening = Number(settings.WORKERS) > 1 ? 'workers listening' : program === relay ? '"Start"' : '"listening"'
  return {
    ...withSettings(program, { REDIS_URL: redisUrl, NODE_ADDRESS: HOST, REUSE_PORT: 'Y', ...settings }),
    arguments: (_host, port) => ['-p', String(port), '-k', '_'],
    listening,
  }
}

/** The program with more settings, which replace those that it has. */
export function withSettings(program: ServerProgram, settings: Readonly<Record<string, string>>): ServerProgram {
  return { ...program, settings: { ...program.settings, ...settings } }
}

export interface StartOptions {
  /** Default: drawn. */
  readonly port?: number
  /** A folder with the key pair. Default: it makes one for itself, or needs none. */
  readonly keys?: string
}

/**
 * Starts a program in an empty folder below `scratch`, on ports that are free, and waits until it listens.
 *
 * @throws with the last lines of its log when it does not
 */
export async function startServer(
  program: ServerProgram,
  scratch: string,
  children: ChildProcesses,
  { port: wantedPort, keys }: StartOptions = {},
): Promise<RunningServer> {
  const folder = mkdtempSync(join(scratch, `${program.name}-`))
  if (keys !== undefined) cpSync(keys, folder, { recursive: true })
  const port = wantedPort ?? (await findFreePort(HOST))
  const logFile = join(folder, 'log')
  const log = openSync(logFile, 'w')
  const child = spawn(program.command, program.arguments(HOST, port), {
    cwd: folder,
    // Nothing of the caller's settings; the Node that runs this is the one that is measured.
    env: { PATH: dirname(process.execPath) + delimiter + process.env.PATH, ...program.settings },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  children.add(child)
  const readLog = () => readFileSync(logFile, 'utf8')
  const { listening } = program
  const isListening = listening === undefined ? () => canConnect(port) : async () => readLog().includes(listening)
  await untilListening(child, isListening, () => `${program.name} does not listen: ${readLog().slice(-800)}`)
  const pids = processTree(child.pid ?? 0)
  return { target: { host: HOST, port, otherPort: port, pids }, key: publicKeyIn(folder) }
}

async function untilListening(
  child: ChildProcess,
  isListening: () => Promise<boolean>,
  failure: () => string,
): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  let cause: unknown
  child.on('error', (error) => {
    cause = error
  })
  while (!(await isListening())) {
    const hasEnded = child.exitCode !== null || child.signalCode !== null || cause !== undefined
    if (hasEnded || performance.now() > deadline) throw new Error(failure(), { cause })
    await sleep(50)
  }
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: HOST, port })
    socket.on('error', () => resolve(false))
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}

function publicKeyIn(folder: string): string {
  try {
    return readFileSync(join(folder, 'id_ed25519.pub'), 'utf8').trim()
  } catch {
    // A program that has no key needs none.
    return ''
  }
}
