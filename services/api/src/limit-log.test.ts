import { describe, expect, it } from '@jest/globals'
import { createLogger } from '@tryst/service'
import { LimitLog } from './limit-log.ts'

describe('the log of limits', () => {
  it('tells of each once a minute, with what came before and the remedy', () => {
    const lines: { limit: string; before: number; remedy: string }[] = []
    const destination = { write: (line: string) => void lines.push(JSON.parse(line)) }
    let nowMs = 0
    const limits = new LimitLog(
      createLogger({ service: 'api', level: 'info', format: 'json', destination }),
      () => nowMs,
    )
    for (let i = 0; i < 1_000; i++) limits.hit('connections_total', '192.0.2.1')
    limits.hit('connections_per_source', '192.0.2.1')
    nowMs = 60_000
    limits.hit('connections_total', '192.0.2.1')
    expect(lines.map(({ limit, before }) => [limit, before])).toEqual([
      ['connections_total', 0],
      ['connections_per_source', 0],
      ['connections_total', 999],
    ])
    expect(lines[0]?.remedy).toContain('API_CONNECTIONS_TOTAL')
  })
})
