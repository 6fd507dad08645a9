/** Runs jest in the workspace that npm started it in and leaves its figures in reports/ for the closing count. */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { basename, dirname, join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const workspace = process.cwd()
const name = `${basename(dirname(workspace))}-${basename(workspace)}`.replace(/^.*?-?(packages|services)?-?/, (_, kind) => (kind ? `${kind}-` : ''))
const report = join(root, 'reports', `${name}.json`)
const jest = join(dirname(createRequire(import.meta.url).resolve('jest/package.json')), 'bin', 'jest.js')
const { status } = spawnSync(
  process.execPath,
  ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest, '--config', join(root, 'jest.config.mjs'), '--rootDir', workspace, '--json', '--outputFile', report, ...process.argv.slice(2)],
  { stdio: ['inherit', 'ignore', 'inherit'] },
)
process.exit(status ?? 1)
