import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { BatchedWriter } from './batched-writer.ts'

describe('BatchedWriter', () => {
  let db: DatabaseSync
  let writer: BatchedWriter

  beforeEach(() => {
    db = new DatabaseSync(':memory:')
    db.exec('CREATE TABLE entry (name text PRIMARY KEY)')
    writer = new BatchedWriter(db)
  })

  afterEach(() => db.close())

  const add = (name: string) => writer.run(name, () => db.prepare('INSERT INTO entry VALUES (?)').run(name).changes)
  const names = () =>
    db
      .prepare('SELECT name FROM entry ORDER BY name')
      .all()
      .map((row) => row.name)

  it('writes nothing before the turn of the event loop is over', async () => {
    const adding = add('a')
    expect(names()).toEqual([])
    expect(writer.isPending('a')).toBe(true)
    expect(writer.isPending('b')).toBe(false)
    expect(await adding).toBe(1)
    expect(names()).toEqual(['a'])
    expect(writer.isPending('a')).toBe(false)
  })

  it('acknowledges the writes of one turn together, after one transaction', async () => {
    const transactions: boolean[] = []
    const observe = () => writer.run('observer', () => transactions.push(db.isTransaction))
    await Promise.all([observe(), add('a'), observe(), add('b'), observe()])
    expect(transactions).toEqual([true, true, true])
    expect(db.isTransaction).toBe(false)
    expect(names()).toEqual(['a', 'b'])
  })

  it('acknowledges within a few milliseconds', async () => {
    const delaysMs: number[] = []
    for (let round = 0; round < 101; round++) {
      const startMs = performance.now()
      await add(String(round))
      delaysMs.push(performance.now() - startMs)
    }
    expect(delaysMs.sort((a, b) => a - b)[50]).toBeLessThan(3)
  })

  it('fails every write of a transaction that fails, and goes on with the next', async () => {
    const outcomes = await Promise.allSettled([add('a'), add('a'), add('b')])
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(names()).toEqual([])
    expect(db.isTransaction).toBe(false)
    expect(await add('a')).toBe(1)
  })

  it('shares a very long queue among several turns, so that others have theirs', async () => {
    const order: string[] = []
    const adding = Array.from({ length: 2_500 }, (_, index) => add(String(index)).then(() => order.push('write')))
    setImmediate(() => setImmediate(() => order.push('other')))
    await Promise.all(adding)
    expect(order.indexOf('other')).toBeGreaterThan(0)
    expect(order.indexOf('other')).toBeLessThan(2_500)
    expect(names()).toHaveLength(2_500)
  })

  it('commits what waits at once when it is told to', async () => {
    const adding = Array.from({ length: 1_500 }, (_, index) => add(String(index)))
    writer.flush()
    expect(names()).toHaveLength(1_500)
    writer.flush()
    expect(await Promise.all(adding)).toHaveLength(1_500)
  })
})
