import { describe, expect, it } from '@jest/globals'
import { SourceChains } from './source-chains.ts'

const rowsAt = (chains: SourceChains, ip: string) => {
  const rows: number[] = []
  chains.some(ip, (row) => {
    rows.push(row)
    return false
  })
  return rows.sort((a, b) => a - b)
}

describe('rows by source', () => {
  it('are those that were added with the address, for IPv6 with one of its /64', () => {
    const chains = new SourceChains()
    chains.add(0, '192.0.2.1')
    chains.add(5, '192.0.2.1')
    chains.add(2, '192.0.2.2')
    chains.add(3, '2001:db8::1')
    chains.add(4, '2001:db8::2')
    expect(rowsAt(chains, '192.0.2.1')).toEqual([0, 5])
    expect(rowsAt(chains, '2001:db8::ffff')).toEqual([3, 4])
    expect(rowsAt(chains, '2001:db8:0:1::1')).toEqual([])
    expect(rowsAt(chains, '192.0.2.3')).toEqual([])
  })

  it('stay what they are whatever is added and removed in between', () => {
    const chains = new SourceChains()
    const model = new Map<number, string>()
    let seed = 7
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff
      return Math.floor((seed / 0x80000000) * below)
    }
    for (let step = 0; step < 20_000; step++) {
      const row = random(3_000)
      const ip = model.get(row)
      if (ip === undefined) {
        const added = random(4) === 0 ? `2001:db8:0:${random(9)}::${random(9)}` : `192.0.2.${random(40)}`
        chains.add(row, added)
        model.set(row, added)
      } else {
        chains.remove(row, ip)
        model.delete(row)
      }
    }
    for (let host = 0; host < 40; host++) {
      const ip = `192.0.2.${host}`
      const expected = [...model].filter(([, other]) => other === ip).map(([row]) => row)
      expect(rowsAt(chains, ip)).toEqual(expected.sort((a, b) => a - b))
    }
    for (const [row, ip] of model) chains.remove(row, ip)
    expect(chains.size).toBe(0)
  })
})
