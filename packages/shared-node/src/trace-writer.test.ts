import { afterEach, describe, expect, it } from '@jest/globals'
import { StoreUnavailableError, type TracePart } from '@tryst/rendezvous'
import type { Logger } from '@tryst/service'
import { TraceWriter } from './trace-writer.ts'

const partOf = (atMs: number): TracePart => ({ atMs, node: 'a', role: 'relay', session: 's', steps: [] })
const opened: TraceWriter[] = []

afterEach(async () => {
  for (const writer of opened.splice(0)) await writer.close()
})

function writing({ isAway = false } = {}) {
  const written: number[] = []
  const warnings: string[] = []
  const noted: TracePart[] = []
  const store = {
    isAway,
    closed: 0,
    pause: undefined as Promise<void> | undefined,
    async write(parts: readonly TracePart[]) {
      await this.pause
      if (this.isAway) throw new StoreUnavailableError('away')
      written.push(...parts.map(({ atMs }) => atMs))
    },
    async *read() {},
    async close() {
      this.closed++
    },
  }
  const log = { warn: (_: object, text: string) => void warnings.push(text) } as unknown as Logger
  const writer = new TraceWriter({ store, take: () => noted.splice(0), log })
  opened.push(writer)
  return { writer, store, written, warnings, noted }
}

describe('TraceWriter', () => {
  it('writes what was noted and what others have noted, one turn after the other', async () => {
    const { writer, store, written, noted } = writing()
    const { promise, resolve } = Promise.withResolvers<void>()
    store.pause = promise
    noted.push(partOf(1))
    const turn = writer.flush()
    noted.push(partOf(2))
    writer.add([partOf(3)])
    expect(writer.flush()).toBe(turn)
    resolve()
    await turn
    expect(written).toEqual([1])
    await writer.flush()
    expect(written).toEqual([1, 3, 2])
    expect(writer.counts).toEqual({ written: 3, lost: 0 })
  })

  it('says once that nothing can be written, keeps none of it, and goes on when it can', async () => {
    const { writer, store, written, warnings, noted } = writing({ isAway: true })
    for (let turn = 0; turn < 3; turn++) {
      noted.push(partOf(turn))
      await writer.flush()
    }
    store.isAway = false
    noted.push(partOf(9))
    await writer.flush()
    expect({ written, warnings: warnings.length, counts: writer.counts }).toEqual({
      ...{ written: [9], warnings: 1, counts: { written: 1, lost: 3 } },
    })
  })

  it('takes no more than there is room for', async () => {
    const { writer, written } = writing()
    writer.add(Array.from({ length: 2_500 }, (_, index) => partOf(index)))
    await writer.flush()
    expect(written).toHaveLength(2_000)
    expect(writer.counts).toEqual({ written: 2_000, lost: 500 })
  })

  it('writes what was noted last when it is closed, however often that is', async () => {
    const { writer, store, written, noted } = writing()
    noted.push(partOf(1))
    await writer.close()
    await writer.close()
    expect(written).toEqual([1])
    expect(store.closed).toBeGreaterThan(0)
  })
})
