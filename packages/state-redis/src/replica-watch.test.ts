import { describe, expect, it } from '@jest/globals'
import { REPLICAS_REMOVED_AFTER_MS, ReplicaWatch } from './replica-watch.ts'

function watch() {
  let nowMs = 0
  const replicas = new ReplicaWatch(REPLICAS_REMOVED_AFTER_MS, () => nowMs)
  /** The primary is asked every 15 s, and says the same. */
  const tell = (count: number, forMs: number) => {
    for (const endMs = nowMs + forMs; nowMs < endMs; nowMs += 15_000) replicas.told(count)
    replicas.told(count)
  }
  return {
    replicas,
    tell,
    pass: (ms: number) => {
      nowMs += ms
    },
  }
}

describe('replicas behind a primary', () => {
  it('are not waited for where none was ever seen', () => {
    const { replicas, tell } = watch()
    tell(0, 3_600_000)
    expect([replicas.areExpected, replicas.wereRemoved]).toEqual([false, false])
  })

  it('are waited for while they are away for a time, as when the primary is cut off from them', () => {
    const { replicas, tell } = watch()
    tell(1, 60_000)
    tell(0, REPLICAS_REMOVED_AFTER_MS - 30_000)
    expect(replicas.areExpected).toBe(true)
    tell(1, 0)
    tell(0, REPLICAS_REMOVED_AFTER_MS - 30_000)
    expect(replicas.areExpected).toBe(true)
  })

  it('count as removed once they have been gone for ten minutes, until one is seen again', () => {
    const { replicas, tell } = watch()
    tell(2, 60_000)
    tell(0, REPLICAS_REMOVED_AFTER_MS)
    expect([replicas.areExpected, replicas.wereRemoved]).toEqual([false, true])
    tell(1, 0)
    expect([replicas.areExpected, replicas.wereRemoved]).toEqual([true, false])
  })

  it('are not given up for a time in which nobody could ask', () => {
    const { replicas, tell, pass } = watch()
    tell(1, 0)
    tell(0, 60_000)
    pass(REPLICAS_REMOVED_AFTER_MS)
    tell(0, 60_000)
    expect(replicas.areExpected).toBe(true)
    tell(0, REPLICAS_REMOVED_AFTER_MS - 90_000)
    replicas.lost()
    tell(0, 60_000)
    expect(replicas.areExpected).toBe(true)
  })
})
