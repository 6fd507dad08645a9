/** Adds up what jest reported per workspace. */
import { existsSync, readFileSync } from 'node:fs'
import { reportFile, workspaces } from './workspaces.mjs'

/** Figures of one run of `task` in all of its workspaces, or in some. */
export function readResults(task, folders = foldersWith(task)) {
  return sumUp(Object.fromEntries(folders.map((folder) => [folder, readReport(reportFile(folder, task))])))
}

/**
 * Adds up reports by workspace; undefined stands for a workspace that left none. `unreported` names those, and those
 * without a single test; `notRun` maps each reason to the number of tests that it kept from running.
 */
export function sumUp(reports) {
  const results = { passed: 0, failed: 0, skipped: 0, unreported: [], notRun: new Map() }
  for (const [folder, report] of Object.entries(reports)) {
    if (!report || report.numTotalTestSuites === 0) results.unreported.push(folder)
    else addReport(results, report)
  }
  results.failed += results.unreported.length
  return results
}

function readReport(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}

export function foldersWith(task) {
  return workspaces()
    .filter(({ manifest }) => manifest.scripts?.[task] !== undefined)
    .map(({ folder }) => folder)
}

function addReport(results, report) {
  results.passed += report.numPassedTests
  // A suite that could not even be loaded has no tests to fail.
  results.failed += report.numFailedTests + report.numRuntimeErrorTestSuites
  results.skipped += report.numPendingTests + report.numTodoTests
  for (const suite of report.testResults) {
    for (const test of suite.assertionResults) {
      if (test.status !== 'pending' && test.status !== 'todo') continue
      const reason = reasonOf(test)
      results.notRun.set(reason, (results.notRun.get(reason) ?? 0) + 1)
    }
  }
}

/** A skipped suite says in its name, behind `skipped: `, what is missing and what would make it run. */
function reasonOf({ fullName, ancestorTitles, title }) {
  return /\bskipped: (?<reason>[^)]*)/i.exec(fullName)?.groups?.reason.trim() ?? ancestorTitles[0] ?? title
}

/** The plain line that a run ends with. */
export function closingLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}

/** What could not be run, in one line; empty when everything was. */
export function notRunLine({ notRun }) {
  if (notRun.size === 0) return ''
  return `not run: ${[...notRun].map(([reason, tests]) => `${reason} (tests: ${tests})`).join('; ')}`
}
