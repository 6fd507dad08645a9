import { describe, expect, it } from '@jest/globals'
import { median, percentile } from './statistics.ts'

describe('median', () => {
  it('is the middle value, in whatever order they come', () => {
    expect(median([9, 1, 4])).toBe(4)
  })

  it('is the mean of the two in the middle of an even number', () => {
    expect(median([4, 1, 9, 2])).toBe(3)
  })

  it('is no number when nothing was measured', () => {
    expect(median([])).toBeNaN()
  })
})

describe('percentile', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1)

  it('is the value that the share does not exceed', () => {
    expect([0.5, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([50, 99, 100])
  })

  it('is the only value there is', () => {
    expect(percentile([7], 0.01)).toBe(7)
  })
})
