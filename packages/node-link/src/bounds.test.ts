import { describe, expect, it } from '@jest/globals'
import { OnceAMinute } from './once-a-minute.ts'
import { Turns } from './turns.ts'
import { Unproven } from './unproven.ts'

describe('OnceAMinute', () => {
  it('lets a subject through once a minute', () => {
    let now = 0
    const told = new OnceAMinute(() => now)
    expect([told.admits('a'), told.admits('a'), told.admits('b')]).toEqual([true, false, true])
    now = 59_999
    expect(told.admits('a')).toBe(false)
    now = 60_000
    expect(told.admits('a')).toBe(true)
  })

  it('remembers a thousand subjects and no more', () => {
    let now = 0
    const told = new OnceAMinute(() => now)
    const admitted = Array.from({ length: 2_000 }, (_, n) => told.admits(String(n))).filter(Boolean)
    expect(admitted).toHaveLength(1_000)
    now = 60_000
    expect(told.admits('another')).toBe(true)
  })
})

describe('Unproven', () => {
  it('admits so many, so many from one source, and others when some have left', () => {
    const unproven = new Unproven(3, 2)
    expect(['a', 'a', 'a', 'b', 'b'].map((source) => unproven.admit(source))).toEqual([true, true, false, true, false])
    unproven.release('a')
    expect(unproven.admit('a')).toBe(true)
    for (const source of ['a', 'a', 'b']) unproven.release(source)
    expect(unproven.count).toBe(0)
  })
})

describe('Turns', () => {
  it('gives the next turn to who has waited longest', async () => {
    const turns = new Turns(1, 10)
    const order: number[] = []
    expect(await turns.take(1_000)).toBe(true)
    const waiting = [1, 2, 3].map(async (n) => {
      await turns.take(1_000)
      order.push(n)
      turns.end()
    })
    turns.end()
    await Promise.all(waiting)
    expect(order).toEqual([1, 2, 3])
    expect(await turns.take(0)).toBe(true)
  })

  it('lets nobody wait for longer than he likes, nor too many', async () => {
    const turns = new Turns(1, 1)
    await turns.take(0)
    const patient = turns.take(10)
    expect(await turns.take(1_000)).toBe(false)
    expect(await patient).toBe(false)
    turns.end()
    expect(await turns.take(0)).toBe(true)
  })
})
