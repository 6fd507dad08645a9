import type { ChildProcess } from 'node:child_process'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Namespace } from '../src/site/namespace.ts'
import type { OperationName, Operations } from './operations.ts'

const PROGRAM = resolve(import.meta.dirname, 'resident-program.ts')

interface Answer {
  readonly call: number
  readonly result?: unknown
  readonly error?: string
}

/** Ends the program with the process that started it, however that ends. */
export const MORTAL = ['setpriv', '--pdeathsig', 'KILL'] as const

/** A program on a machine of the laboratory that does what it is asked. */
export class Resident {
  readonly #child: ChildProcess
  readonly #open = new Map<number, PromiseWithResolvers<unknown>>()
  #calls = 0

  /** @param hostsFile what this program finds as /etc/hosts */
  constructor(
    private readonly machine: Namespace,
    hostsFile?: string,
  ) {
    const args = ['-', ...withHosts(hostsFile), ...MORTAL, process.execPath, PROGRAM]
    this.#child = machine.start('env', args, 'pipe')
    if (this.#child.stdout) createInterface(this.#child.stdout).on('line', (line) => this.#take(line))
    this.#child.once('exit', () => this.#fail(`the program ended\n${machine.output}`))
    this.#child.stdin?.on('error', () => undefined)
  }

  ask<Name extends OperationName>(
    operation: Name,
    argument: Parameters<Operations[Name]>[0],
  ): ReturnType<Operations[Name]> {
    const call = ++this.#calls
    const answer = Promise.withResolvers<unknown>()
    this.#open.set(call, answer)
    this.#child.stdin?.write(`${JSON.stringify({ call, operation, argument })}\n`)
    return answer.promise as ReturnType<Operations[Name]>
  }

  #take(line: string): void {
    const { call, result, error } = JSON.parse(line) as Answer
    const answer = this.#open.get(call)
    this.#open.delete(call)
    if (error === undefined) answer?.resolve(result)
    else answer?.reject(new Error(`${this.machine.label}: ${error}`))
  }

  #fail(reason: string): void {
    for (const answer of this.#open.values()) answer.reject(new Error(`${this.machine.label}: ${reason}`))
    this.#open.clear()
  }
}

/** In the namespace that `ip netns exec` makes for mounts, only this program sees the file. */
const withHosts = (file: string | undefined): readonly string[] =>
  file === undefined ? [] : ['sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', file]
