/**
 * `npm test` and `npm run test:long` after the build: every workspace's tests, then one plain line that counts them.
 * Arguments go to turbo, e.g. `npm test -- --filter=@tryst/relay`.
 */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { closingLine, foldersWith, notRunLine, readResults } from './test-results.mjs'
import { ROOT, reportFile } from './workspaces.mjs'

const [task = 'test', ...turboArguments] = process.argv.slice(2)
const folders = foldersWith(task)
for (const folder of folders) rmSync(reportFile(folder, task), { force: true })

const { status } = spawnSync(
  process.execPath,
  [
    join(ROOT, 'node_modules', 'turbo', 'bin', 'turbo'),
    ...['run', task, '--continue', '--concurrency=2', '--ui=stream', '--output-logs=new-only', ...turboArguments],
  ],
  { cwd: ROOT, stdio: 'inherit' },
)

const isPartial = turboArguments.length > 0
const results = readResults(task, isPartial ? folders.filter((folder) => hasReport(folder)) : folders)
for (const folder of results.unreported) {
  console.log(`no result from ${folder}: it has no tests, or they did not run to their end`)
}
if (status !== 0 && results.failed === 0) {
  console.log(`the run ended with status ${status}, though no test failed`)
  results.failed = 1
}
const ran = results.passed + results.failed > 0
if (!ran) console.log('no test ran')
if (results.notRun.size > 0) console.log(notRunLine(results))
console.log(`\n${closingLine(results)}`)
process.exitCode = ran && results.failed === 0 ? 0 : 1

function hasReport(folder) {
  return readResults(task, [folder]).unreported.length === 0
}
