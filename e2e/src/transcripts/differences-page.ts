import { resolve } from 'node:path'
import { KNOWN_DIFFERENCES, type KnownDifference } from './known-differences.ts'

export const differencesPage = resolve(import.meta.dirname, '../../../docs/differences-from-the-reference.md')

const INTRODUCTION = `# Differences from the reference

Tryst answers stock clients as the reference servers (hbbs and hbbr 1.1.17) do. What it does otherwise, it does on
purpose; this page lists all of it, as far as more than 200 recorded exchanges with the reference show it.

The list is the table in \`e2e/src/transcripts/known-differences.ts\`. The exchanges are replayed against Tryst in the
tests: a difference that is not in the table fails them, and so does a line of the table that no exchange shows any more.
\`npm run differences -w e2e\` writes this page.
`

/** The page of the documentation that lists the known differences. */
export function renderDifferences(): string {
  return [INTRODUCTION, ...KNOWN_DIFFERENCES.map(renderOne)].join('\n')
}

const renderOne = ({ subject, reference, ours, reason }: KnownDifference): string => `## ${subject}

- **Reference:** ${reference}
- **Tryst:** ${ours}
- **Why:** ${reason}
`
