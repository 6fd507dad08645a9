import { describe, expect, it } from '@jest/globals'
import type { Round } from './comparison.ts'
import type { Measured } from './job.ts'
import { renderTable } from './result-table.ts'
import { memoryRow, requestRow, roundTripRows, streamRow } from './rows.ts'

const nothing: Measured = { units: 0, seconds: 1, serverCpuUs: 0, generatorCpuUs: 0, wrong: 0, lost: 0 }
const requests = (units: number, serverCpuUs: number): Measured => ({ ...nothing, units, serverCpuUs })

describe('rows of the result', () => {
  it('shows medians, and the median of the ratios within each round', () => {
    const rounds: Round[] = [
      { ours: requests(100_000, 800_000), baseline: requests(200_000, 800_000) },
      { ours: requests(50_000, 800_000), baseline: requests(100_000, 800_000) },
      { ours: requests(80_000, 800_000), baseline: requests(80_000, 800_000) },
    ]
    expect(requestRow('heartbeats', 'UDP echo', rounds)).toEqual({
      figure: 'heartbeats',
      cpuPerUnit: '10.0 µs',
      rate: '80.0 k/s',
      baseline: '8.00 µs, 100 k/s (UDP echo)',
      ratio: '2.00 (rate 0.50)',
      isUnsound: false,
    })
  })

  it('counts relayed bytes in seconds for a gigabyte and gigabits a second', () => {
    const rounds = [{ ours: requests(2e9, 500_000), baseline: requests(1e9, 1_000_000) }]
    expect(streamRow('relay, 1 session', 'TCP pipe', rounds)).toMatchObject({
      cpuPerUnit: '0.25 s/GB',
      rate: '16.0 Gbit/s',
      ratio: '0.25 (rate 2.00)',
    })
  })

  it('takes what a relay adds over the ordinary direct round trip', () => {
    const trips = (p50Us: number, p99Us: number) => {
      return { ...requests(1000, 20_000), roundTrips: { p50Us, p99Us, directP50Us: 10 } }
    }
    const rows = roundTripRows('TCP pipe', [{ ours: trips(30, 110), baseline: trips(50, 60) }])
    expect(rows.map(({ rate, ratio }) => [rate, ratio])).toEqual([
      ['+20.0 µs', '1.00 (time 0.50)'],
      ['+100 µs', '1.00 (time 2.00)'],
    ])
  })

  it.each([
    { why: 'nothing came of it', measured: nothing },
    { why: 'one answer was wrong', measured: { ...requests(1000, 1), wrong: 1 } },
    { why: 'more than one in a hundred was lost', measured: { ...requests(1000, 1), lost: 11 } },
  ])('marks a figure as unsound when $why', ({ measured }) => {
    const row = requestRow('heartbeats', 'UDP echo', [{ ours: measured, baseline: requests(1000, 1) }])
    expect(row.isUnsound).toBe(true)
    expect(renderTable([row])).toContain('! heartbeats')
  })

  it('puts all into one table with aligned columns', () => {
    const lines = renderTable([
      memoryRow('bare broker', { ours: 200, baseline: 800 }),
      requestRow('heartbeats', 'UDP echo', [{ ours: requests(10, 100), baseline: requests(10, 100) }]),
    ]).split('\n')
    expect(lines[0]).toMatch(/^figure +\| CPU per unit \| rate +\| baseline +\| ratio$/)
    expect(new Set(lines.map((line) => line.replaceAll('-|-', ' | ').indexOf(' | '))).size).toBe(1)
    expect(lines[2]).toContain('200 B')
  })
})
