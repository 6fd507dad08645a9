import { describe, expect, it } from '@jest/globals'
import { createMetrics, zeroCounts } from './metrics.ts'

describe('metrics', () => {
  it('show numbers as they stand when they are asked for', async () => {
    const { registry, total, totals, level, levels } = createMetrics({ process: 'left out' })
    const drops = zeroCounts(['malformed', 'unexpected'])
    let heartbeats = 0
    let devices = 5
    total({ name: 'heartbeats_total', help: 'Heartbeats', read: () => heartbeats })
    totals({ name: 'drops_total', help: 'Drops', label: 'reason', read: () => drops })
    level({ name: 'devices', help: 'Devices', read: () => devices })
    levels({ name: 'connections', help: 'Connections', label: 'transport', read: () => ({ tcp: 3 }) })
    await registry.metrics()
    heartbeats = 7
    devices = 4
    drops.malformed++
    const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    expect(lines).toEqual([
      'heartbeats_total 7',
      'drops_total{reason="malformed"} 1',
      'drops_total{reason="unexpected"} 0',
      'devices 4',
      'connections{transport="tcp"} 3',
    ])
  })

  it('tell of the process, too', async () => {
    expect(await createMetrics().registry.metrics()).toContain('process_resident_memory_bytes')
  })
})
