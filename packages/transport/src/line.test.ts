import { describe, expect, it } from '@jest/globals'
import { Line, Place } from './line.ts'

describe('a line', () => {
  const lineOf = (...names: string[]) => {
    const line = new Line<string>()
    const places = names.map((name) => new Place(name))
    for (const place of places) line.append(place)
    return { line, places }
  }

  it('keeps the order of arrival, whoever leaves', () => {
    const { line, places } = lineOf('a', 'b', 'c', 'd')
    for (const [gone, left] of [
      [1, 'acd'],
      [0, 'cd'],
      [3, 'c'],
      [2, ''],
    ] as const) {
      places[gone]?.leave()
      places[gone]?.leave()
      expect([...line].join('')).toBe(left)
      expect([line.length, line.first]).toEqual([left.length, left[0]])
    }
  })

  it('moves a place to the end, and out of another line', () => {
    const { line, places } = lineOf('a', 'b', 'c')
    const other = lineOf('x').line
    const [a, b] = places
    if (a) line.append(a)
    expect([...line]).toEqual(['b', 'c', 'a'])
    if (b) other.append(b)
    expect([[...line], [...other]]).toEqual([
      ['c', 'a'],
      ['x', 'b'],
    ])
    expect(b && line.remove(b)).toBe(false)
  })

  it('points at nobody from a place that was left', () => {
    const { places } = lineOf('a', 'b', 'c')
    places[1]?.leave()
    expect(places[1]).toEqual({ one: 'b', line: undefined, before: undefined, behind: undefined })
  })

  it('can be left by the one at hand while it is walked', () => {
    const { line, places } = lineOf('0', '1', '2')
    for (const one of line) places[Number(one)]?.leave()
    expect(line.length).toBe(0)
  })
})
