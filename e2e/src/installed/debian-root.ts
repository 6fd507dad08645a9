import { type ChildProcess, execFileSync, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const SUITE = 'bookworm'
/** Beyond the smallest Debian: systemctl and systemd-analyze, which work without a running systemd. */
const PACKAGES = ['systemd', 'shellcheck']
/** Making a root file system takes most of a minute; the next run unpacks it. Only root can put a file there. */
const CACHE = `/var/cache/tryst-tests/debian-${SUITE}-${process.arch}-${PACKAGES.join('-')}.tar`

const has = (program: string) => spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined

/** Why no Debian can be made here; undefined: it can. */
export const NO_DEBIAN_ROOT: string | undefined = whyNot()

function whyNot(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'skipped: only root on Linux may change its root'
  if (spawnSync('unshare', ['--mount', 'true'], { stdio: 'ignore' }).status !== 0) {
    return 'skipped: this machine does not let us mount; run the tests as root outside of a restricted container'
  }
  if (!has('dpkg-deb')) return 'skipped: dpkg-deb is not installed; install the package dpkg'
  if (has('debootstrap') || existsSync(CACHE)) return undefined
  return 'skipped: debootstrap is not installed; install the package debootstrap'
}

export interface Finished {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A Debian of its own in a folder, with the network of this machine; nothing runs in it but what a test starts. */
export class DebianRoot {
  private constructor(readonly folder: string) {}

  static make(): DebianRoot {
    if (!existsSync(CACHE)) fillCache()
    const folder = mkdtempSync(join(tmpdir(), 'tryst-debian-'))
    execFileSync('tar', ['-xf', CACHE, '-C', folder, '--numeric-owner'])
    return new DebianRoot(folder)
  }

  path(inside: string): string {
    return join(this.folder, inside)
  }

  has(inside: string): boolean {
    return existsSync(this.path(inside))
  }

  read(inside: string): string {
    return readFileSync(this.path(inside), 'utf8')
  }

  write(inside: string, text: string): void {
    mkdirSync(dirname(this.path(inside)), { recursive: true })
    writeFileSync(this.path(inside), text)
  }

  /** Runs a command there as root. */
  try(...command: string[]): Finished {
    const [program, args, env] = this.#inside(command)
    const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', env, timeout: 120_000 })
    return { status, stdout, stderr }
  }

  /** The same. @returns what it printed @throws Error with its output unless it ends with 0 */
  run(...command: string[]): string {
    const { status, stdout, stderr } = this.try(...command)
    if (status !== 0) throw new Error(`'${command.join(' ')}' ended with ${status}\n${stdout}\n${stderr}`)
    return stdout + stderr
  }

  /** Starts a command there; its process is the child itself, so that signals reach it. */
  start(command: readonly string[], options: SpawnOptions): ChildProcess {
    const [program, args] = this.#inside(command)
    return spawn(program, args, options)
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** Mounts are this command's alone and go with it. */
  #inside(command: readonly string[]): [string, string[], NodeJS.ProcessEnv] {
    const enter = 'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && exec chroot "$0" "$@"'
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' }
    return ['unshare', ['--mount', 'sh', '-c', enter, this.folder, ...command], env]
  }
}

function fillCache(): void {
  mkdirSync(dirname(CACHE), { recursive: true, mode: 0o700 })
  const folder = mkdtempSync(join(dirname(CACHE), 'making-'))
  try {
    const args = ['--variant=minbase', `--include=${PACKAGES.join(',')}`, SUITE, join(folder, 'root'), mirror()]
    const { status, stdout, stderr } = spawnSync('debootstrap', args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`debootstrap ended with ${status}\n${stdout.slice(-2_000)}\n${stderr}`)
    const without = ['proc/*', 'sys/*', 'dev/*', 'var/cache/apt/*', 'var/lib/apt/lists/*'].map(
      (path) => `--exclude=./${path}`,
    )
    execFileSync('tar', ['-cf', join(folder, 'root.tar'), ...without, '-C', join(folder, 'root'), '.'])
    renameSync(join(folder, 'root.tar'), CACHE)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The mirror that this machine uses where it is a Debian. */
function mirror(): string {
  const { stdout } = spawnSync('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'], {
    encoding: 'utf8',
  })
  return stdout?.split('\n').find((line) => /\/debian\/?$/.test(line)) ?? 'http://deb.debian.org/debian'
}
