import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'

/** Why network namespaces can't be had here; undefined: they can. */
export const NO_NAMESPACES: string | undefined = canMakeNamespaces()
  ? undefined
  : 'skipped: only root on Linux may make network namespaces'

function canMakeNamespaces(): boolean {
  const probe = `tryst-${process.pid}-probe`
  const made = spawnSync('ip', ['netns', 'add', probe], { stdio: 'ignore' }).status === 0
  if (made) spawnSync('ip', ['netns', 'del', probe])
  return made
}

const NAME = /^tryst-(\d+)-/

/** Removes what test runs left behind that were killed: namespaces with our kind of name whose process is gone. */
export function removeOrphanedNamespaces(): void {
  const listed = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).split('\n')
  for (const line of listed) {
    const [name = ''] = line.split(' ')
    const owner = NAME.exec(name)?.[1]
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) spawnSync('ip', ['netns', 'del', name])
  }
}

/** A machine of its own, as far as the network goes. */
export class Namespace {
  readonly #children = new Set<ChildProcess>()
  #output = ''

  private constructor(
    readonly name: string,
    /** Its name within the test; others call their cable to it so. At most 15 characters. */
    readonly label: string,
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

  /** Several commands of `ip` at once. */
  ipBatch(commands: readonly string[]): void {
    this.#feed('ip', ['-n', this.name, '-batch', '-'], commands.join('\n'))
  }

  /** Loads rules of nftables. */
  nft(rules: string): void {
    this.#feed('ip', ['netns', 'exec', this.name, 'nft', '-f', '-'], rules)
  }

  run(command: string, ...args: string[]): string {
    const [program, ...rest] = [...this.prefix, command, ...args] as [string, ...string[]]
    return execFileSync(program, rest, { encoding: 'utf8', timeout: 10_000, stdio: ['ignore', 'pipe', 'pipe'] })
  }

  /** A program that goes on until it is ended, or the namespace is removed. */
  start(command: string, args: readonly string[], stdin: 'ignore' | 'pipe' = 'ignore'): ChildProcess {
    const [program, ...rest] = [...this.prefix, command, ...args] as [string, ...string[]]
    const child = spawn(program, rest, { stdio: [stdin, 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => this.#keep(String(text)))
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

  #feed(command: string, args: readonly string[], input: string): void {
    const { status, stderr } = spawnSync(command, args, { input, encoding: 'utf8' })
    if (status !== 0) throw new Error(`${command} in ${this.label}: ${stderr}`)
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
