import { describe, expect, it } from '@jest/globals'
import { commandsRow, durationRow } from './cluster-rows.ts'
import type { Measured } from './job.ts'

const measured = (p50Us: number, more: Partial<Measured> = {}): Measured => ({
  ...{ units: 1000, seconds: 1, serverCpuUs: 500_000, generatorCpuUs: 0, wrong: 0, lost: 0 },
  durations: { p50Us, p99Us: 2 * p50Us },
  ...more,
})

describe('rows of several nodes', () => {
  it('say how much longer the unit in the middle takes', () => {
    const row = durationRow('punch across nodes', 'same node', [
      { ours: measured(900), baseline: measured(400) },
      { ours: measured(1000), baseline: measured(500) },
      { ours: measured(5000), baseline: measured(600) },
    ])
    expect(row).toMatchObject({ rate: '+500 µs', baseline: '500 µs, 500 µs (same node)', ratio: '1.00 (time 2.25)' })
  })

  it('tell commands that were sent from those inside of scripts', () => {
    const counted = measured(900, { commands: { sent: 3500, executed: 7000 } })
    const row = commandsRow('Redis, punch', { measured: counted, each: counted.units, unit: '', goal: 6 })
    expect(row).toMatchObject({ rate: "3.50 (7.00 with scripts' own)", baseline: '6 (at most)', ratio: '0.58' })
    expect(row.isUnsound).toBe(false)
  })

  it('are unsound where nobody counted, or answers are missing', () => {
    const each = 1000
    expect(commandsRow('Redis', { measured: measured(900), each, unit: '' }).isUnsound).toBe(true)
    const lossy = measured(900, { commands: { sent: 1, executed: 1 }, lost: 100 })
    expect(commandsRow('Redis', { measured: lossy, each, unit: '' }).isUnsound).toBe(true)
  })
})
