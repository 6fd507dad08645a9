import { describe, expect, it } from '@jest/globals'
import { randomInteger } from './random.ts'

describe('randomInteger', () => {
  it('draws every number of a small range and none outside', () => {
    const drawn = new Set(Array.from({ length: 1_000 }, () => randomInteger(7, 12)))
    expect([...drawn].sort((a, b) => a - b)).toEqual([7, 8, 9, 10, 11])
  })

  it('draws whole numbers from a range of 48 bits', () => {
    const drawn = Array.from({ length: 1_000 }, () => randomInteger(1, 2 ** 48))
    expect(drawn.every((value) => Number.isSafeInteger(value) && value >= 1 && value < 2 ** 48)).toBe(true)
    expect(Math.max(...drawn)).toBeGreaterThan(2 ** 47)
  })
})
