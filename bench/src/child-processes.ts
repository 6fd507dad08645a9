import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

const STOP_TIMEOUT_MS = 5000

/** Everything that was started here. Nothing of it outlives this process. */
export class ChildProcesses {
  readonly #running = new Set<ChildProcess>()

  constructor() {
    process.on('exit', () => {
      for (const child of this.#running) child.kill('SIGKILL')
    })
  }

  add(child: ChildProcess): void {
    this.#running.add(child)
    child.on('exit', () => this.#running.delete(child))
    // A program that can't be started emits this instead of 'exit'; whoever waits for it sees that it does not listen.
    child.on('error', () => this.#running.delete(child))
  }

  async stop(child: ChildProcess): Promise<void> {
    if (!this.#running.has(child)) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await Promise.race([ended, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })])
    child.kill('SIGKILL')
    await ended
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#running].map((child) => this.stop(child)))
  }
}
