/** What a package is called and made of: version, machine, time, and the Node that goes with it. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../tools/workspaces.mjs'

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

export const VERSION = manifest.version
export const NODE_VERSION = manifest.devDependencies.node

/** Where packages are put. */
export const OUTPUT = join(ROOT, 'dist')
mkdirSync(OUTPUT, { recursive: true })

/** The names that Debian has for the machines that Node names otherwise. */
const DEBIAN_ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' }

export const ARCHITECTURE = process.arch
export const DEBIAN_ARCHITECTURE = DEBIAN_ARCHITECTURES[ARCHITECTURE]

/** A fault that the person in front of the screen can mend. */
export class PackagingError extends Error {}

/** Runs the making of a package; a fault that can be mended is shown without a stack. */
export async function making(make) {
  try {
    if (process.platform !== 'linux' || DEBIAN_ARCHITECTURE === undefined) {
      const known = Object.keys(DEBIAN_ARCHITECTURES).join(' or ')
      throw new PackagingError(`packages are made on Linux, ${known}; this is ${process.platform}, ${ARCHITECTURE}.`)
    }
    await make()
  } catch (error) {
    if (!(error instanceof PackagingError)) throw error
    console.error(`tryst: ${error.message}`)
    process.exitCode = 1
  }
}

/** Time of every file in a package, in seconds: the same commit gives the same bytes. */
export function sourceDateEpoch() {
  const given = process.env.SOURCE_DATE_EPOCH
  if (given !== undefined && /^\d+$/.test(given)) return Number(given)
  try {
    return Number(execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' }))
  } catch {
    // An unpacked archive of the sources has no history.
    return Math.floor(statSync(join(ROOT, 'package.json')).mtimeMs / 1_000)
  }
}

/** Path of a Node of exactly the version that package.json names. */
export function pinnedNode() {
  const candidates = [join(ROOT, 'node_modules', 'node', 'bin', 'node'), join(ROOT, 'node_modules', '.bin', 'node')]
  const fitting = candidates.find((path) => existsSync(path) && versionOf(path) === `v${NODE_VERSION}`)
  if (fitting !== undefined) return realpathSync(fitting)
  throw new PackagingError(
    `packages bring Node ${NODE_VERSION}, which node_modules does not have: run ` +
      '`npm rebuild node --ignore-scripts=false`, then try again.',
  )
}

function versionOf(node) {
  try {
    return execFileSync(node, ['--version'], { encoding: 'utf8', stdio: 'pipe' }).trim()
  } catch {
    return undefined
  }
}

export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`
