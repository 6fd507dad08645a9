import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'

const READY_WITHIN_MS = 60_000
const STOPPED_WITHIN_MS = 15_000
const POLL_MS = 20
const LISTENING = '0A'
const UDP_BOUND = '07'

export interface ServerCommand {
  readonly program: string
  readonly args: readonly string[]
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
  readonly tcpPorts: readonly number[]
  readonly udpPorts: readonly number[]
}

/** One of the two servers as a child process; ready when the system shows its sockets, so no probe disturbs it. */
export class ServerProcess {
  readonly #command: ServerCommand
  #child: ChildProcess | undefined
  #log = ''

  constructor(command: ServerCommand) {
    this.#command = command
  }

  async start(): Promise<void> {
    const { program, args, folder, env, tcpPorts, udpPorts } = this.#command
    const child = spawn(program, args, {
      cwd: folder,
      // The programs find a new enough Node on the PATH.
      env: { PATH: `${dirname(process.execPath)}:${process.env.PATH}`, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    const keepLog = (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString()).slice(-4000)
    }
    child.stdout?.on('data', keepLog)
    child.stderr?.on('data', keepLog)
    let failure: Error | undefined
    child.once('error', (error) => {
      failure = error
    })
    const deadline = performance.now() + READY_WITHIN_MS
    const isReady = () =>
      tcpPorts.every((port) => isOpen('tcp', port, LISTENING)) &&
      udpPorts.every((port) => isOpen('udp', port, UDP_BOUND))
    while (!isReady()) {
      const isGone = failure ?? (child.exitCode === null ? undefined : new Error(`exited with ${child.exitCode}`))
      if (isGone) throw new Error(`${program} did not start: ${isGone.message}\n${this.#log}`)
      if (performance.now() > deadline) throw new Error(`${program} opens no ports\n${this.#log}`)
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }

  async stop(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOPPED_WITHIN_MS)
    child.kill('SIGTERM')
    await exited
    clearTimeout(timer)
  }
}

/** Whether this network namespace has a socket in that state on the port. */
function isOpen(protocol: 'tcp' | 'udp', port: number, state: string): boolean {
  const wanted = new RegExp(`:${port.toString(16).toUpperCase().padStart(4, '0')} [0-9A-F]+:[0-9A-F]{4} ${state} `)
  return [protocol, `${protocol}6`].some((table) => wanted.test(readFileSync(`/proc/net/${table}`, 'utf8')))
}
