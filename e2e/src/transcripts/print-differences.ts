/** Writes the page of the documentation that lists the known differences. */
import { writeFileSync } from 'node:fs'
import { differencesPage, renderDifferences } from './differences-page.ts'

writeFileSync(differencesPage, renderDifferences())
