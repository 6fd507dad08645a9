import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { PassedHandle } from './parcels.ts'

const MAX_HANDLES_ON_THEIR_WAY = 1_000

/** How a service ended: its exit status as a shell would show it, and the same in words. */
export interface ServiceEnd {
  readonly status: number
  readonly words: string
  /** The signal that ended it, where it did not end by itself. */
  readonly signal?: NodeJS.Signals
}

export interface ServiceProcessOptions {
  readonly name: string
  /** The program; it is run by the Node that runs us. */
  readonly program: string
  readonly args: readonly string[]
  /** Working directory: where the program keeps its files. */
  readonly folder: string
  readonly env: NodeJS.ProcessEnv
  /** What the program says over the channel to its parent, besides that it listens. */
  readonly onMessage?: (message: unknown, handle: unknown) => void
}

/**
 * One service in a process of its own, so that a relay at full speed does not delay heartbeats. It says over the
 * channel to its parent that it listens, gets its signals from us alone, and ends when we are gone.
 */
export class ServiceProcess {
  readonly name: string
  /** Settles when the service listens; rejects when it ends before that. */
  readonly ready: Promise<void>
  readonly ended: Promise<ServiceEnd>
  readonly #child: ChildProcess
  /** On their way to the program; what it does not get any more is closed. */
  readonly #handles = new Set<PassedHandle>()

  constructor({ name, program, args, folder, env, onMessage }: ServiceProcessOptions) {
    this.name = name
    const exitWithParent = fileURLToPath(new URL('./exit-with-parent.js', import.meta.url))
    const child = spawn(process.execPath, ['--import', exitWithParent, program, ...args], {
      cwd: folder,
      env,
      // In a group of its own: a terminal sends Ctrl-C to the whole group, and a second signal means "at once".
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#child = child
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code, signal) => resolve(serviceEnd(code, signal)))
      child.once('exit', () => this.#closeHandles())
    })
    this.ready = new Promise((resolve, reject) => {
      child.on('message', (message, handle) => {
        if (isReady(message)) resolve()
        else onMessage?.(message, handle)
      })
      this.ended.then((end) => reject(new Error(`${name} ${end.words}`)), reject)
    })
    this.ready.catch(() => {}) // Whoever waits for it is told; nobody has to.
  }

  /** Says something to the program over the channel; lost when it has ended. */
  send(message: object): void {
    if (this.#child.connected) this.#child.send(message, () => {})
  }

  /** The same with a socket's handle, which is the program's from then on, or nobody's. */
  pass(message: object, handle: PassedHandle): void {
    // Whoever takes none for so long stands still.
    if (!this.#child.connected || this.#handles.size >= MAX_HANDLES_ON_THEIR_WAY) {
      handle.close()
      return
    }
    this.#handles.add(handle)
    this.#child.send(message, handle as unknown as undefined, undefined, () => {
      if (this.#handles.delete(handle)) handle.close()
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  #closeHandles(): void {
    for (const handle of this.#handles) handle.close()
    this.#handles.clear()
  }
}

function isReady(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'ready' in message && message.ready === true
}

function serviceEnd(code: number | null, signal: NodeJS.Signals | null): ServiceEnd {
  if (signal !== null) return { status: 128 + constants.signals[signal], words: `was ended by ${signal}`, signal }
  return { status: code ?? 1, words: `ended with status ${code}` }
}
