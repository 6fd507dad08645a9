import { describe, expect, it } from '@jest/globals'
import { CountedWarnings } from './counted-warnings.ts'

describe('counted warnings', () => {
  it('are counted by reason and logged once, with the remedy', () => {
    const lines: unknown[] = []
    const log = { warn: (...line: unknown[]) => void lines.push(line) } as never
    const warnings = new CountedWarnings({ log, message: 'it broke', remedy: 'mend it', reasons: ['bent', 'torn'] })
    for (const reason of ['bent', 'torn', 'bent'] as const) warnings.note(reason, '192.0.2.1')
    expect(warnings.counts).toEqual({ bent: 2, torn: 1 })
    expect(lines).toEqual([[{ reason: 'bent', source: '192.0.2.1', times: 1, remedy: 'mend it' }, 'it broke']])
  })
})
