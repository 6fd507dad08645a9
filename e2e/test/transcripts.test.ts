import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { differencesPage, renderDifferences } from '../src/transcripts/differences-page.ts'
import { KNOWN_DIFFERENCES } from '../src/transcripts/known-differences.ts'
import { type Addresses, replayAllGroups } from '../src/transcripts/replay-groups.ts'
import type { Difference } from '../src/transcripts/transcript.ts'
import { haveVectors } from '../src/transcripts/vectors.ts'

const REPLAY_WITHIN_MS = 5 * 60_000

const describeReplay = haveVectors ? describe : describe.skip
const skipped = haveVectors ? '' : ' (skipped: VECTORS_DIR names no folder that has transcripts.json)'

describeReplay(`recorded exchanges with the reference${skipped}`, () => {
  let differences: Difference[] = []
  let addresses: Addresses = 'recorded'

  beforeAll(async () => {
    ;({ differences, addresses } = await replayAllGroups())
  }, REPLAY_WITHIN_MS)

  it('go with our servers as they went with the reference, but for the known differences', () => {
    const unknown = differences.filter((difference) => !KNOWN_DIFFERENCES.some((known) => known.explains(difference)))
    expect(unknown).toEqual([])
  })

  it('show every known difference', () => {
    // On loopback addresses some exchanges cannot be played, and those that show a difference may be among them.
    const missing = KNOWN_DIFFERENCES.filter((known) => !differences.some((difference) => known.explains(difference)))
    const expected = addresses === 'recorded' ? [] : expect.any(Array)
    expect(missing.map(({ subject }) => subject)).toEqual(expected)
  })
})

describe('docs/differences-from-the-reference.md', () => {
  it('is what `npm run differences -w e2e` prints', () => {
    expect(readFileSync(differencesPage, 'utf8')).toBe(renderDifferences())
  })
})
