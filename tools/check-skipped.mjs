/**
 * Fails when the last `npm test` skipped something for a reason that this machine could have provided. What only some
 * machines can do stands in NOT_EVERYWHERE, with what they lack.
 */
import { readResults } from './test-results.mjs'

/** Reasons that are nobody's fault, as patterns of what the skipped suite says. */
const NOT_EVERYWHERE = [
  // Only root may mount a file system, and not in every container.
  /^this machine does not let us mount/,
  // What the tests look at is in /proc.
  /\bLinux\b/,
]

const { notRun } = readResults('test')
const avoidable = [...notRun].filter(([reason]) => !NOT_EVERYWHERE.some((pattern) => pattern.test(reason)))
for (const [reason, tests] of avoidable) console.error(`skipped: ${reason} (tests: ${tests})`)
process.exitCode = avoidable.length === 0 ? 0 : 1
