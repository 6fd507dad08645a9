import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { ChildProcesses } from './child-processes.ts'
import type { GeneratorReply, GeneratorSetup, Job, Measured } from './job.ts'

/** A process of its own that puts load on one server: what it spends must not be taken from whoever measures. */
export class GeneratorProcess {
  readonly #child: ChildProcess
  readonly #children: ChildProcesses

  private constructor(child: ChildProcess, children: ChildProcesses) {
    this.#child = child
    this.#children = children
  }

  static async start(setup: GeneratorSetup, children: ChildProcesses): Promise<GeneratorProcess> {
    const child = fork(join(import.meta.dirname, 'generator.ts'), [JSON.stringify(setup)])
    children.add(child)
    const generator = new GeneratorProcess(child, children)
    await generator.#reply()
    return generator
  }

  /** One job at a time. */
  async run(job: Job): Promise<Measured> {
    this.#child.send(job)
    const reply = await this.#reply()
    if (reply.kind === 'measured') return reply.measured
    throw new Error(`${job.kind} failed: ${reply.kind === 'failed' ? reply.reason : 'the generator is not ready'}`)
  }

  stop(): Promise<void> {
    return this.#children.stop(this.#child)
  }

  async #reply(): Promise<GeneratorReply> {
    const controller = new AbortController()
    const ended = once(this.#child, 'exit', { signal: controller.signal }).then(([code, signal]): never => {
      throw new Error(`a load generator ended early (${signal ?? code})`)
    })
    try {
      const [reply] = await Promise.race([once(this.#child, 'message', { signal: controller.signal }), ended])
      return reply as GeneratorReply
    } finally {
      ended.catch(() => undefined)
      controller.abort()
    }
  }
}
