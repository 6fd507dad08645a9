import { describe, expect, it } from '@jest/globals'
import { closingLine, notRunLine, sumUp } from '../test-results.mjs'

const REPORT = {
  numTotalTestSuites: 1,
  numPassedTests: 3,
  numFailedTests: 1,
  numRuntimeErrorTestSuites: 0,
  numPendingTests: 2,
  numTodoTests: 0,
  testResults: [
    {
      assertionResults: [
        { status: 'passed', fullName: 'works', ancestorTitles: [], title: 'works' },
        {
          status: 'pending',
          fullName: 'vectors of frames (skipped: VECTORS_DIR names no folder) are read',
          ancestorTitles: ['vectors of frames (skipped: VECTORS_DIR names no folder)'],
          title: 'are read',
        },
        { status: 'pending', fullName: 'namespaces are there', ancestorTitles: ['namespaces'], title: 'are there' },
      ],
    },
  ],
}

describe('the closing count', () => {
  it('adds up all workspaces', () => {
    expect(closingLine(sumUp({ 'packages/a': REPORT, 'packages/b': REPORT }))).toBe('6 passed, 2 failed, 4 skipped')
  })

  it('counts a suite that could not be loaded as a failure', () => {
    expect(sumUp({ 'packages/a': { ...REPORT, numFailedTests: 0, numRuntimeErrorTestSuites: 1 } }).failed).toBe(1)
  })

  it('counts a workspace without figures as a failure, and names it', () => {
    const results = sumUp({ 'packages/a': undefined })
    expect(results.unreported).toEqual(['packages/a'])
    expect(closingLine(results)).toBe('0 passed, 1 failed, 0 skipped')
  })

  it('counts a workspace whose tests were not found as a failure', () => {
    expect(sumUp({ 'packages/a': { ...REPORT, numTotalTestSuites: 0 } }).unreported).toEqual(['packages/a'])
  })

  it('says in one line what could not be run and what would make it run', () => {
    expect(notRunLine(sumUp({ 'packages/a': REPORT }))).toBe(
      'not run: VECTORS_DIR names no folder (tests: 1); namespaces (tests: 1)',
    )
    expect(notRunLine(sumUp({}))).toBe('')
  })
})
