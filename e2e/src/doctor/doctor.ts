import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { dirname, resolve } from 'node:path'
import type { Finding } from '@tryst/doctor'

const PROGRAM = resolve(import.meta.dirname, '../../../services/utils/bin/tryst')

/** What the operator's command found, and with what it ended. */
export interface DoctorRun {
  readonly status: number | null
  readonly findings: readonly Finding[]
  readonly leftOut: readonly string[]
  /** Codes of what is not in order, causes first. */
  readonly faults: readonly string[]
  readonly output: string
}

export interface DoctorOptions {
  /** A command that runs it elsewhere: in a network namespace, say. */
  readonly through?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** Runs `tryst doctor` as an operator does. */
export async function runDoctor(args: readonly string[], options: DoctorOptions = {}): Promise<DoctorRun> {
  const [command, ...rest] = [...(options.through ?? []), PROGRAM, 'doctor', '--json', ...args] as [string, ...string[]]
  const child = spawn(command, rest, {
    cwd: options.cwd ?? tmpdir(),
    env: { PATH: `${dirname(process.execPath)}:/usr/sbin:/usr/bin:/sbin:/bin`, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr, [status]] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ])
  const output = `${stdout}${stderr}`
  try {
    const { findings, leftOut } = JSON.parse(stdout) as { findings: Finding[]; leftOut: string[] }
    const faults = findings.filter(({ severity }) => severity !== 'ok').map(({ code }) => code)
    return { status, findings, leftOut, faults, output }
  } catch {
    throw new Error(`the doctor ended with ${status}:\n${output}`)
  }
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += chunk
  return text
}
