/**
 * The folder that an installation has as /usr/lib/tryst: the built programs, the packages that they need to run, and
 * their own Node. Nothing is downloaded: what is installed in node_modules is taken along.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { ROOT } from '../tools/workspaces.mjs'
import { NODE_VERSION, PackagingError, pinnedNode, VERSION } from './release.mjs'

const HERE = import.meta.dirname

/** Programs, each with the folder of its workspace. */
const PROGRAMS = { hbbs: 'hbbs', hbbr: 'hbbr', api: 'api', 'rustdesk-utils': 'utils', tryst: 'utils' }

/** What no running program reads: declarations, sources for debuggers, documents, tests. */
const UNUSED_FILE = /\.([cm]?ts|map|md|markdown|o|gyp)$/i
const UNUSED_FOLDER = new Set(['test', 'tests', '__tests__', 'benchmark', 'benchmarks', '.github', 'node_modules'])

/** Fills an empty folder. */
export function makeProgramTree(folder) {
  for (const path of productionPackages()) {
    // Links of workspaces to one another.
    if (lstatSync(join(ROOT, path)).isSymbolicLink()) copyWorkspace(path, folder)
    else copyPackage(path, folder)
  }
  mkdirSync(join(folder, 'bin'), { recursive: true })
  cpSync(pinnedNode(), join(folder, 'bin', 'node'))
  makeLaunchers(join(folder, 'launchers'))
  cpSync(join(HERE, 'tree'), join(folder, 'setup'), { recursive: true })
  cpSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'))
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ name: 'tryst', version: VERSION, private: true })}\n`)
  writeFileSync(join(folder, 'VERSION'), `tryst ${VERSION}\nnode ${NODE_VERSION}\n`)
  makeModesUniform(folder)
}

/** Paths below the root of every package that runs, as npm sees them, workspaces by their links included. */
function productionPackages() {
  const services = [...new Set(Object.values(PROGRAMS)), 'standalone'].map((name) => `--workspace=@tryst/${name}`)
  const npm = process.env.npm_execpath
  const [program, ...first] = npm?.endsWith('.js') ? [process.execPath, npm] : ['npm']
  const args = [...first, 'ls', '--all', '--omit=dev', '--parseable', ...services]
  const { stdout, stderr, status } = spawnSync(program, args, { cwd: ROOT, encoding: 'utf8' })
  const missing = stderr?.split('\n').filter((line) => /missing|invalid/.test(line)) ?? []
  if (!stdout || missing.length > 0) {
    const what = missing.join('\n') || `npm ls ended with ${status}`
    throw new PackagingError(`node_modules is not what package-lock.json says: run \`npm ci\`.\n${what}`)
  }
  const paths = stdout.split('\n').map((path) => relative(ROOT, path))
  return [...new Set(paths)].filter((path) => path !== '' && !path.startsWith('..')).sort()
}

function copyPackage(path, folder) {
  const from = join(ROOT, path)
  cpSync(from, join(folder, path), {
    recursive: true,
    filter: (source) =>
      source === from ||
      !(lstatSync(source).isDirectory() ? UNUSED_FOLDER.has(basename(source)) : UNUSED_FILE.test(source)),
  })
}

function copyWorkspace(link, folder) {
  const { name } = JSON.parse(readFileSync(join(ROOT, link, 'package.json'), 'utf8'))
  const place = relative(ROOT, execFileSync('realpath', [join(ROOT, link)], { encoding: 'utf8' }).trim())
  const built = join(ROOT, place, 'dist')
  if (!existsSync(built)) throw new PackagingError(`${place} is not built: run \`npm run build\`.`)
  mkdirSync(join(folder, place), { recursive: true })
  for (const part of ['package.json', 'dist', 'bin'].filter((part) => existsSync(join(ROOT, place, part)))) {
    cpSync(join(ROOT, place, part), join(folder, place, part), {
      recursive: true,
      filter: (source) => !UNUSED_FILE.test(source),
    })
  }
  const linkPath = join(folder, 'node_modules', name)
  mkdirSync(dirname(linkPath), { recursive: true })
  execFileSync('ln', ['-s', relative(dirname(linkPath), join(folder, place)), linkPath])
}

/** What /usr/bin points at: the programs on their own Node, whatever the PATH has. */
function makeLaunchers(folder) {
  mkdirSync(folder, { recursive: true })
  for (const [program, workspace] of Object.entries(PROGRAMS)) {
    const script = `/usr/lib/tryst/services/${workspace}/bin/${program}`
    writeFileSync(join(folder, program), `#!/bin/sh\nexec /usr/lib/tryst/bin/node ${script} "$@"\n`)
    chmodSync(join(folder, program), 0o755)
  }
}

/** Modes do not depend on whose working copy it was. */
export function makeModesUniform(folder) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue
    const path = join(entry.parentPath, entry.name)
    const isProgram = entry.isDirectory() || (lstatSync(path).mode & 0o100) !== 0
    chmodSync(path, isProgram ? 0o755 : 0o644)
  }
  chmodSync(folder, 0o755)
}

/** Bytes of all files below a folder. */
export function sizeOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + lstatSync(join(parentPath, name)).size, 0)
}
