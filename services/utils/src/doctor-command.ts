import { parseHostPort } from '@tryst/client'
import type { Finding, Target } from '@tryst/doctor'
import type { CommandResult } from './command-result.ts'
import { findDataFolder } from './data-folder.ts'

/** Flags of the command, as they were written. */
export interface DoctorFlags {
  readonly key?: string
  readonly port?: string
  readonly api?: string
  readonly wss?: string
  readonly wsOnly?: true
  readonly timeout?: string
  readonly json?: true
}

export interface DoctorInput {
  readonly host: string
  readonly flags: DoctorFlags
  readonly cwd: string
  readonly print: (text: string) => void
}

/** The command was not understood: exit code 2. */
export class DoctorUsageError extends Error {
  override readonly name = 'DoctorUsageError'
}

const DEFAULT_LIMIT_MS = 3_000
const MAX_PORT = 65_535

/** Examines a server from outside and prints each finding as soon as there is one (docs/troubleshooting.md). */
export async function runDoctor({ host, flags, cwd, print }: DoctorInput): Promise<CommandResult> {
  const { examine, jsonOf, lineOf, statusOf, STANDARD_PORT, summaryOf } = await import('@tryst/doctor')
  const target = targetOf(host, flags, cwd, STANDARD_PORT)
  if (flags.json) {
    const examination = await examine(target)
    return { output: `${jsonOf(examination)}\n`, status: statusOf(examination) }
  }
  const port = target.port === STANDARD_PORT ? '' : `, port ${target.port}`
  print(`Checking server:  ${target.host}${port}\n`)
  const examination = await examine(target, (finding: Finding) => print(`${lineOf(finding)}\n`))
  return { output: `${summaryOf(examination)}\n`, status: statusOf(examination) }
}

function targetOf(text: string, flags: DoctorFlags, cwd: string, standardPort: number): Target {
  const { host, port } = hostPort(text, '<host>', standardPort)
  const proxy = flags.wss === undefined ? undefined : hostPort(flags.wss, '--wss', undefined)
  if (flags.api !== undefined && !isUrl(flags.api)) throw badUrl(flags.api)
  return {
    host,
    port: flags.port === undefined ? (port ?? standardPort) : portFrom(flags.port),
    key: flags.key === undefined ? undefined : { text: flags.key, from: '--key' },
    folderKey: keyOfFolder(cwd),
    apiUrl: flags.api,
    proxy,
    mode: flags.wsOnly ? 'webSocket' : 'all',
    limitMs: flags.timeout === undefined ? DEFAULT_LIMIT_MS : limitFrom(flags.timeout),
  }
}

/** Without a port in the text: `fallback`. */
function hostPort<Fallback extends number | undefined>(text: string, what: string, fallback: Fallback) {
  try {
    const { host, port } = parseHostPort(text, fallback ?? 0)
    if (/[/\s]/.test(host)) throw new TypeError(`"${text}" is no address; write host or host:port`)
    return { host, port: port === 0 ? undefined : port }
  } catch (error) {
    throw new DoctorUsageError(`${what}: ${(error as Error).message}`)
  }
}

function portFrom(text: string): number {
  const port = Number(text)
  // Clients derive ports from 2 below it to 3 above.
  if (Number.isInteger(port) && port > 2 && port <= MAX_PORT - 3) return port
  throw new DoctorUsageError(`--port ${text}: give the ID server's main port, a whole number from 3 to ${MAX_PORT - 3}`)
}

function limitFrom(text: string): number {
  const seconds = Number(text)
  if (seconds > 0 && seconds <= 60) return seconds * 1_000
  throw new DoctorUsageError(`--timeout ${text}: give seconds, more than 0 and at most 60`)
}

const isUrl = (text: string): boolean => /^https?:\/\/[^/\s]+/.test(text)

const badUrl = (text: string) => new DoctorUsageError(`--api ${text}: give a URL that begins with http:// or https://`)

/** That of a server whose folder this is, or that `npm start` uses from here. */
function keyOfFolder(cwd: string): Target['folderKey'] {
  for (const folder of [cwd, `${cwd}/data`]) {
    try {
      const { publicKey } = findDataFolder(folder)
      if (publicKey !== undefined) return { text: publicKey, from: `the key files in ${folder}` }
    } catch {
      // There is none, or it is not for us to read.
    }
  }
  return undefined
}
