import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { waitUntil } from './wait-until.ts'

/** Those that sessions need. */
export type ServerName = 'hbbs' | 'hbbr'
export type ProgramName = ServerName | 'api'

const services = resolve(import.meta.dirname, '../../../services')
export const programPath = (name: ProgramName): string => resolve(services, name, 'bin', name)

/** What each program logs when all of its ports are open. */
const LISTENING: Readonly<Record<ProgramName, string>> = { hbbs: 'listening', hbbr: 'Start', api: 'listening' }
const STARTED_WITHIN_MS = 20_000
const STOPPED_WITHIN_MS = 15_000

export interface ServiceCommand {
  readonly program: ProgramName
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Working directory: where the program keeps its files. */
  readonly folder: string
  /** A command that runs the program elsewhere: in a network namespace, say. */
  readonly through?: readonly string[]
}

/** One line of the log. */
export interface LogLine {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface FinishedRun extends Exit {
  readonly stdout: string
  readonly stderr: string
}

/** One of the built programs as a child process, as a supervisor would run it. */
export class ServiceProcess {
  readonly log: LogLine[] = []
  readonly exited: Promise<Exit>
  readonly #child: ChildProcess
  #output = ''
  #exit: Exit | undefined

  private constructor(command: ServiceCommand) {
    this.#child = spawnService(command)
    this.exited = once(this.#child, 'exit').then(([code, signal]) => {
      this.#exit = { code, signal }
      return this.#exit
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream) createInterface(stream).on('line', (line) => this.#keep(line))
    }
  }

  /** Starts the program and waits for nothing. */
  static launch(command: ServiceCommand): ServiceProcess {
    return new ServiceProcess(command)
  }

  /** Starts the program and waits until it listens. @throws Error with its output when it ends instead */
  static async start(command: ServiceCommand): Promise<ServiceProcess> {
    const service = new ServiceProcess(command)
    const { program } = command
    try {
      await waitUntil(
        `${program} listens`,
        () => {
          if (service.#exit) throw new Error(`${program} ended with ${service.#exit.code}`)
          return service.log.some(({ msg }) => msg === LISTENING[program])
        },
        STARTED_WITHIN_MS,
      )
      return service
    } catch (error) {
      service.signal('SIGKILL')
      throw new Error(`${(error as Error).message}\n${service.#output}`)
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#exit === undefined
  }

  /** Everything that was written, for the messages of tests. */
  get output(): string {
    return this.#output
  }

  /** The first log line that fits. */
  logged(text: RegExp, limitMs?: number): Promise<LogLine> {
    return waitUntil(`log line ${text}`, () => this.log.find(({ msg }) => text.test(msg)), limitMs)
  }

  /** Memory that the process holds (RSS). */
  residentBytes(): number {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1]
    if (kib === undefined) throw new Error(`process ${this.pid} has no memory: it ended\n${this.#output}`)
    return Number(kib) * 1024
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Ends the program as a supervisor does; may be called twice. */
  async stop(): Promise<Exit> {
    if (this.#exit) return this.#exit
    const timer = setTimeout(() => this.signal('SIGKILL'), STOPPED_WITHIN_MS)
    this.signal('SIGTERM')
    const exit = await this.exited
    clearTimeout(timer)
    return exit
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.exited
  }

  #keep(line: string): void {
    this.#output = `${this.#output}${line}\n`.slice(-20_000)
    try {
      this.log.push(JSON.parse(line))
    } catch {
      // Not every line is one of the log: Node's own warnings, say.
    }
  }
}

/** Runs a program that is expected to end by itself. */
export async function runToEnd(command: ServiceCommand, limitMs = 15_000): Promise<FinishedRun> {
  const child = spawnService(command)
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs)
  const [stdout, stderr, [code, signal]] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    once(child, 'exit'),
  ])
  clearTimeout(timer)
  return { code, signal, stdout, stderr }
}

function spawnService({ program, args = [], env = {}, folder, through = [] }: ServiceCommand): ChildProcess {
  const [command, ...rest] = [...through, programPath(program), ...args] as [string, ...string[]]
  return spawn(command, rest, {
    cwd: folder,
    // Nothing else of the environment: the programs need only a new enough Node on the PATH.
    env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function textOf(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = ''
  for await (const chunk of stream ?? []) text += chunk
  return text
}
