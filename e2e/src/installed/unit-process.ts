import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { waitUntil } from '../site/wait-until.ts'
import type { DebianRoot } from './debian-root.ts'

const STARTED_WITHIN_MS = 20_000

/** A line of the log that says that all ports are open. */
const LISTENING = /"msg":"(listening|Start)"/

/** A unit's program, run as systemd would run it: user, folder, settings, log files, no capabilities. */
export class UnitProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly log: () => string,
  ) {}

  /** @param unit path of the unit in the root */
  static async start(root: DebianRoot, unit: string): Promise<UnitProcess> {
    const settings = readUnit(root.read(unit))
    const one = (name: string): string => {
      const value = settings.get(name)?.[0]
      if (value === undefined) throw new Error(`${unit} has no ${name}`)
      return value
    }
    const logFile = root.path(one('StandardOutput').replace(/^append:/, ''))
    const stdout = openSync(logFile, 'w')
    const stderr = openSync(root.path(one('StandardError').replace(/^append:/, '')), 'w')
    const user = ['setpriv', `--reuid=${one('User')}`, `--regid=${one('Group')}`, '--init-groups', '--no-new-privs']
    const none = ['--bounding-set=-all', '--inh-caps=-all']
    const command = `umask ${one('UMask')} && cd ${one('WorkingDirectory')} && exec ${one('ExecStart')}`
    const child = root.start(['env', '-i', ...environmentOf(root, settings), ...user, ...none, 'sh', '-c', command], {
      stdio: ['ignore', stdout, stderr],
    })
    closeSync(stdout)
    closeSync(stderr)
    const process = new UnitProcess(child, () => root.read(one('StandardOutput').replace(/^append:/, '')))
    try {
      await waitUntil(`${unit} listens`, () => process.#listens(), STARTED_WITHIN_MS)
      return process
    } catch (error) {
      child.kill('SIGKILL')
      const errors = root.read(one('StandardError').replace(/^append:/, ''))
      throw new Error(`${(error as Error).message}\n${process.log()}\n${errors}`)
    }
  }

  /** Ends it as systemd does. @returns its exit status; null: it had to be killed */
  async stop(): Promise<number | null> {
    if (this.child.exitCode !== null) return this.child.exitCode
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 15_000)
    this.child.kill('SIGTERM')
    const [code] = await once(this.child, 'exit')
    clearTimeout(timer)
    return code
  }

  #listens(): boolean {
    if (this.child.exitCode !== null) throw new Error(`it ended with ${this.child.exitCode}`)
    return LISTENING.test(this.log())
  }
}

/** Settings of a unit, each with all of its values. */
function readUnit(text: string): Map<string, string[]> {
  const settings = new Map<string, string[]>()
  for (const [, name, value] of text.matchAll(/^(\w+)=(.*)$/gm)) {
    if (name !== undefined && value !== undefined) settings.set(name, [...(settings.get(name) ?? []), value])
  }
  return settings
}

function environmentOf(root: DebianRoot, settings: Map<string, string[]>): string[] {
  const files = (settings.get('EnvironmentFile') ?? []).map((file) => file.replace(/^-/, ''))
  const lines = files.filter((file) => root.has(file)).flatMap((file) => root.read(file).split('\n'))
  const fromFiles = lines.filter((line) => /^\w+=/.test(line))
  return ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', ...(settings.get('Environment') ?? []), ...fromFiles]
}
