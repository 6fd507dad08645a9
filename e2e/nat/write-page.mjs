/** Writes the tables of docs/nat.md from a run of the laboratory. */
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'

const workspace = resolve(import.meta.dirname, '..')
const { status } = spawnSync(process.execPath, [join(workspace, '../tools/jest.mjs'), 'nat/nat.test', '--verbose'], {
  cwd: workspace,
  env: { ...process.env, NAT_PAGE: 'write' },
  stdio: 'inherit',
})
process.exit(status ?? 1)
