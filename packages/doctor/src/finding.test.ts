import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { FINDING_CODES, fine, wrong } from './finding.ts'
import { jsonOf, lineOf, statusOf, summaryOf } from './report.ts'

describe('every finding', () => {
  it('is explained in docs/troubleshooting.md', () => {
    const page = readFileSync(new URL('../../../docs/troubleshooting.md', import.meta.url), 'utf8')
    const missing = FINDING_CODES.filter((code) => code !== 'ok' && !page.includes(`\`${code}\``))
    expect(missing).toEqual([])
  })

  it('is one line with what, evidence and remedy', () => {
    expect(lineOf(wrong('udp-closed', 'UDP is closed', 'no\nanswer', 'open it'))).toBe(
      'ERROR   [udp-closed] UDP is closed (no answer) -> open it',
    )
    expect(lineOf(fine('the key is right', 'it answers'))).toBe('ok      the key is right (it answers)')
  })
})

describe('an examination', () => {
  const broken = {
    host: 'id.example.com',
    findings: [fine('a', 'b'), wrong('udp-closed', 'c', 'd', 'e'), wrong('relay-key', 'f', 'g', 'h')],
    leftOut: ['registration'],
  }

  it('ends with what to begin with, and what was not checked', () => {
    expect(summaryOf(broken)).toBe(
      '2 errors, 0 warnings; begin with [udp-closed]; not checked because of that: registration',
    )
    expect(summaryOf({ ...broken, findings: [], leftOut: [] })).toBe('0 errors, 0 warnings')
  })

  it('has a status for scripts, in JSON too', () => {
    expect(statusOf(broken)).toBe(1)
    expect(statusOf({ findings: [fine('a', 'b')] })).toBe(0)
    expect(JSON.parse(jsonOf(broken))).toEqual({ ...broken, status: 1 })
  })
})
