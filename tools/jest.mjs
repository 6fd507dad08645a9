/**
 * Runs jest in the workspace that npm started it in, and leaves its figures in reports/ for the closing count.
 * `--long` runs the long form (jest.long.config.mjs); every other argument is jest's.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { ROOT, reportFile } from './workspaces.mjs'

const workspace = process.cwd()
const isLong = process.argv.includes('--long')
const report = reportFile(relative(ROOT, workspace), isLong ? 'test:long' : 'test')
mkdirSync(dirname(report), { recursive: true })
rmSync(report, { force: true }) // A run that dies leaves no figures of an earlier one.

const jest = join(dirname(createRequire(import.meta.url).resolve('jest/package.json')), 'bin', 'jest.js')
const { status } = spawnSync(
  process.execPath,
  [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    jest,
    '--config',
    join(ROOT, isLong ? 'jest.long.config.mjs' : 'jest.config.mjs'),
    '--rootDir',
    workspace,
    '--json',
    '--outputFile',
    report,
    ...process.argv.slice(2).filter((argument) => argument !== '--long'),
  ],
  // jest reports to stderr; its stdout only names the report.
  { stdio: ['inherit', 'ignore', 'inherit'] },
)
process.exit(status ?? 1)
