import { describe, expect, it } from '@jest/globals'
import { LoadMeter } from './load-meter.ts'

describe('the load', () => {
  it('is the mean of the last seconds', () => {
    const meter = new LoadMeter(0)
    for (let second = 1; second <= 10; second++) expect(meter.measure(second * 1000, second * 8_000)).toBe(8_000)
    // Nothing any more.
    const after = [11, 12, 13, 14, 15, 16].map((second) => meter.measure(second * 1000, 80_000))
    expect(after).toEqual([6_400, 4_800, 3_200, 1_600, 0, 0])
  })

  it('is not made of moments', () => {
    const meter = new LoadMeter(0)
    expect(meter.measure(0, 1_000)).toBe(0)
    expect(meter.measure(1_000, 1_000)).toBe(1_000)
    expect(meter.measure(1_001, 1_000_000)).toBe(1_000)
    expect(meter.measure(2_000, 1_000_000)).toBe(500_000)
  })

  it('is right after a long silence of whoever asks', () => {
    const meter = new LoadMeter(0)
    meter.measure(1_000, 8_000)
    expect(meter.measure(101_000, 808_000)).toBe(8_000)
    expect(meter.measure(102_000, 808_000)).toBe(Math.round(800_000 / 101))
  })
})
