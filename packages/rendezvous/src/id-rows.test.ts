import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { IdRows, NO_ROW } from './id-rows.ts'
import type { PeerId } from './peer-identity.ts'

describe('IdRows', () => {
  it.each([
    '1',
    '123456789',
    '123456789012345',
    '1234567890123456',
    'büro-laptop',
    '会议室',
    '😀',
    'x'.repeat(100),
    '',
  ])('finds %j again', (text) => {
    const rows = new IdRows()
    const id = text as PeerId
    expect(rows.find(id)).toBe(NO_ROW)
    const row = rows.add(id)
    expect(rows.find(id)).toBe(row)
    expect(rows.idAt(row)).toBe(id)
    expect(rows.isUsed(row)).toBe(true)
    expect(rows.remove(id)).toBe(row)
    expect(rows.find(id)).toBe(NO_ROW)
    expect(rows.idAt(row)).toBeUndefined()
    expect(rows.isUsed(row)).toBe(false)
    expect(rows.remove(id)).toBe(NO_ROW)
  })

  it('gives a free row to the next newcomer', () => {
    const rows = new IdRows()
    const row = rows.add('first' as PeerId)
    rows.add('second' as PeerId)
    rows.remove('first' as PeerId)
    expect(rows.add('third' as PeerId)).toBe(row)
    expect(rows.end).toBe(2)
  })

  it('keeps ids apart like a map, through growth and removal', () => {
    const ids = fc.oneof(
      fc.nat({ max: 9000 }).map(String),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 18 }),
    )
    fc.assert(
      fc.property(fc.array(ids, { minLength: 2000, maxLength: 4000 }), (texts) => {
        const rows = new IdRows()
        const model = new Map<PeerId, number>()
        for (const [index, text] of texts.entries()) {
          const id = text as PeerId
          expect(rows.find(id)).toBe(model.get(id) ?? NO_ROW)
          if (!model.has(id)) model.set(id, rows.add(id))
          else if (index % 3 === 0) {
            rows.remove(id)
            model.delete(id)
          }
        }
        expect(rows.size).toBe(model.size)
        expect(new Set(model.values()).size).toBe(model.size)
        for (const [id, row] of model) {
          expect(rows.find(id)).toBe(row)
          expect(rows.idAt(row)).toBe(id)
          expect(row).toBeLessThan(rows.end)
        }
      }),
      { numRuns: 5 },
    )
  })
})
