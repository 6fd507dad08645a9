import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { KeyFileError, loadKeyPair, PUBLIC_KEY_FILE } from '@tryst/service'
import type { CommandResult } from '../command-result.ts'
import { placeGivenKeys } from './given-keys.ts'
import { InitError } from './init-error.ts'
import { DISTANCES, portBase } from './port-plan.ts'
import { openRedisAccess } from './redis-access.ts'
import { initReport } from './report.ts'
import { openServerCertificate } from './server-certificate.ts'
import { readIfThere, replaceFile } from './write-once.ts'

/** Each names the folder of one thing that is set up; what is not named is left alone. */
const FOLDERS = {
  'given-keys': { type: 'string' },
  keys: { type: 'string' },
  secrets: { type: 'string' },
  redis: { type: 'string' },
  certificates: { type: 'string' },
  public: { type: 'string' },
} as const

const USAGE = `Usage: rustdesk-utils init [--keys DIR] [--secrets DIR --redis DIR] [--certificates DIR] [--public DIR]
Makes what a server needs and what is not there yet: the key pair, the password of Redis, a certificate for
PUBLIC_HOST, and what the API may know. Safe to repeat.
`

export interface InitInput {
  readonly argv: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly nowMs: number
}

/** The first step of the containers: makes what is missing, and tells the operator what clients are given. */
export async function runInit({ argv, env, nowMs }: InitInput): Promise<CommandResult> {
  try {
    const { values: folders } = parseArgs({ args: [...argv], options: FOLDERS })
    if (Object.keys(folders).length === 0) return { output: USAGE, status: 1 }
    if (folders['given-keys'] !== undefined) placeGivenKeys(folders['given-keys'], env)
    if (folders.keys === undefined) return { output: '', status: 0 }
    return { output: await setUp({ ...folders, keys: folders.keys }, env, nowMs), status: 0 }
  } catch (error) {
    if (error instanceof InitError || error instanceof KeyFileError) return failed(error.message)
    if (!isSystemError(error)) throw error
    if (error.code.startsWith('ERR_PARSE_ARGS')) return failed(`${error.message}\n\n${USAGE}`)
    if ('path' in error) return failed(`${error.message}; let this user (${process.getuid?.()}) write there`)
    throw error
  }
}

function isSystemError(error: unknown): error is { readonly code: string; readonly message: string } {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    typeof error.code === 'string' &&
    'message' in error
  )
}

const failed = (reason: string): CommandResult => ({ output: `ERROR: ${reason}\n`, status: 1 })

type Folders = { readonly [Name in keyof typeof FOLDERS]?: string | undefined } & { readonly keys: string }

async function setUp(folders: Folders, env: NodeJS.ProcessEnv, nowMs: number): Promise<string> {
  const hints: string[] = []
  const idPort = portBase(env)
  const host = env.PUBLIC_HOST?.trim() || undefined
  if (host === undefined) {
    hints.push(
      'PUBLIC_HOST is not set: put the name or address that clients use into .env, as PUBLIC_HOST=hbbs.example.com',
    )
  }
  const keyPair = await loadKeyPair({ key: env.KEY || '-', use: 'sign', folder: folders.keys })
  hints.push(...keyPair.warnings)
  if (keyPair.source === 'made files') {
    hints.push('a new key pair was made: keep a copy of it (docs/operating.md, backup); clients hold on to it')
  }
  const key = keyPair.publicKey ?? ''
  if (folders.secrets !== undefined && folders.redis !== undefined) {
    openRedisAccess({ secrets: folders.secrets, redis: folders.redis })
  }
  const apiUrl = await apiUrlOf(folders.certificates, host, { env, nowMs, hints })
  if (folders.public !== undefined) tellApi(folders.public, key, apiUrl)
  const pagePort = folders.public === undefined ? undefined : idPort + DISTANCES.PORT_API
  return initReport({ host, idPort, key, apiUrl, pagePort, hints })
}

/** Clients that are told an API with https use WebSocket over TLS, so they must be able to trust the certificate. */
async function apiUrlOf(
  certificates: string | undefined,
  host: string | undefined,
  { env, nowMs, hints }: { env: NodeJS.ProcessEnv; nowMs: number; hints: string[] },
): Promise<string | undefined> {
  const told = env.API_PUBLIC_URL || undefined
  if (certificates === undefined) return told
  const { refusal } = await openServerCertificate(certificates, withoutBrackets(host ?? 'localhost'), nowMs)
  if (refusal !== undefined) {
    hints.push(
      `stock clients refuse the certificate (${refusal}), so they are told no API with https: docs/operating.md, certificates`,
    )
    return told
  }
  // Clients use the usual port of https, whatever else is published.
  const isUsualPort = (env.HTTPS_PORT || '443') === '443'
  return told ?? (host === undefined || !isUsualPort ? undefined : `https://${host}`)
}

const withoutBrackets = (host: string) => host.replace(/^\[(.*)\]$/, '$1')

/** The API shows the public key, and never gets to see the other. */
function tellApi(folder: string, key: string, apiUrl: string | undefined): void {
  const put = (name: string, content: string) => {
    const path = join(folder, name)
    if (readIfThere(path) !== content) replaceFile(path, content, 0o644)
  }
  put(PUBLIC_KEY_FILE, key)
  put('.env', apiUrl === undefined ? '' : `API_PUBLIC_URL=${apiUrl}\n`)
}
