import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'

const has = (program: string) => spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined

/** Why namespaces with a moving address can't be had here; undefined: they can. */
export const NO_MOVING_ADDRESS: string | undefined = whyNot()

function whyNot(): string | undefined {
  if (!canMakeNamespaces()) return 'skipped: only root on Linux may make network namespaces'
  if (!has('keepalived')) return 'skipped: keepalived is not installed; install the package keepalived'
  return has('curl') ? undefined : 'skipped: curl is not installed; install the package curl'
}

function canMakeNamespaces(): boolean {
  const probe = `tryst-${process.pid}-probe`
  const made = spawnSync('ip', ['netns', 'add', probe], { stdio: 'ignore' }).status === 0
  if (made) spawnSync('ip', ['netns', 'del', probe])
  return made
}

/** A machine of its own, as far as the network goes. */
export class Namespace {
  readonly #children = new Set<ChildProcess>()
  #output = ''

  private constructor(
    readonly name: string,
    private readonly label: string,
  ) {}

  static make(label: string): Namespace {
    const name = `tryst-${process.pid}-${label}`
    execFileSync('ip', ['netns', 'add', name])
    const namespace = new Namespace(name, label)
    namespace.ip('link', 'set', 'lo', 'up')
    return namespace
  }

  /** What its programs have written lately, for the messages of tests. */
  get output(): string {
    return `${this.label}:\n${this.#output}`
  }

  /** What has to stand before a command that is to run there. */
  get prefix(): readonly string[] {
    return ['ip', 'netns', 'exec', this.name]
  }

  ip(...args: string[]): string {
    return execFileSync('ip', ['-n', this.name, ...args], { encoding: 'utf8' })
  }

  run(command: string, ...args: string[]): string {
    const [program, ...rest] = [...this.prefix, command, ...args] as [string, ...string[]]
    return execFileSync(program, rest, { encoding: 'utf8', timeout: 10_000, stdio: ['ignore', 'pipe', 'pipe'] })
  }

  /** A program that goes on until it is ended, or the namespace is removed. */
  start(command: string, args: readonly string[]): ChildProcess {
    const [program, ...rest] = [...this.prefix, command, ...args] as [string, ...string[]]
    const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => this.#keep(String(text)))
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
    return child
  }

  /** A cable to `other`, with these addresses (none where undefined); both ends are called after the other side. */
  connect(other: Namespace, own: string | undefined, others: string | undefined): void {
    this.ip('link', 'add', other.label, 'type', 'veth', 'peer', 'name', this.label, 'netns', other.name)
    for (const [place, end, address] of [
      [this, other, own],
      [other, this, others],
    ] as const) {
      if (address !== undefined) place.ip('addr', 'add', address, 'dev', end.label)
      place.ip('link', 'set', end.label, 'up')
    }
  }

  #keep(text: string): void {
    this.#output = `${this.#output}${text}`.slice(-5_000)
  }

  async remove(): Promise<void> {
    const children = [...this.#children]
    for (const child of children) child.kill('SIGKILL')
    await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')))
    spawnSync('ip', ['netns', 'del', this.name])
  }
}
