import { describe, expect, it } from '@jest/globals'
import { PresenceTable } from '@tryst/rendezvous'
import { createLogger, createMetrics } from '@tryst/service'
import { watchSources } from './source-watch.ts'

describe('the watch of sources', () => {
  it('tells the log what to do, and the metrics that something is to be done', async () => {
    const lines: Record<string, unknown>[] = []
    const destination = { write: (line: string) => void lines.push(JSON.parse(line)) }
    const metrics = createMetrics({ process: 'left out' })
    const log = createLogger({ service: 'hbbs', level: 'info', format: 'json', destination })
    const sources = watchSources(log, metrics, () => ['172.18.0.1'])
    const presence = new PresenceTable()
    sources.survey(presence, 0)
    expect(await metrics.registry.metrics()).toContain('tryst_sources_hidden 0')
    for (let n = 0; n < 30; n++) sources.noteConnection('172.18.0.1')
    sources.survey(presence, 1_000)
    sources.survey(presence, 2_000)
    expect(await metrics.registry.metrics()).toContain('tryst_sources_hidden 1')
    expect(lines).toEqual([
      expect.objectContaining({
        level: 'error',
        ips: ['172.18.0.1'],
        connections: 30,
        msg: expect.stringContaining('all clients seem to have one address'),
        remedy: expect.stringMatching(/network_mode: host.*userland-proxy.*PROXY_PROTOCOL/),
      }),
    ])
    sources.survey(presence, 700_000)
    sources.survey(presence, 1_400_000)
    expect(lines[1]).toMatchObject({ level: 'info', ips: ['172.18.0.1'] })
    expect(await metrics.registry.metrics()).toContain('tryst_sources_hidden 0')
  })
})
