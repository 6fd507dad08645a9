import { describe, expect, it } from '@jest/globals'
import { CloneWatch, ELSEWHERE } from './clone-watch.ts'
import type { PeerId } from './peer-identity.ts'

const ID = '123456789' as PeerId
const [FIRST, SECOND] = ['203.0.113.9', '203.0.113.77']
const PORT = 1000
const at = (ip: string, lastSeenMs: number) => ({ address: `${ip}:${PORT}`, lastSeenMs })

/** Both beat every 15 s, the second 5 s behind the first. */
function twoMachines(watch: CloneWatch, beats: number) {
  const verdicts = []
  for (let beat = 0; beat < beats; beat++) {
    const nowMs = beat * 15_000
    watch.asked(ID, FIRST, PORT, nowMs)
    verdicts.push(watch.registered(ID, FIRST, PORT, beat === 0 ? undefined : at(SECOND, nowMs - 10_000), nowMs))
    watch.asked(ID, SECOND, PORT, nowMs + 5_000)
    verdicts.push(watch.registered(ID, SECOND, PORT, at(FIRST, nowMs), nowMs + 5_000))
  }
  return verdicts
}

describe('the watch for clones', () => {
  it('takes two addresses for two machines when both have kept three beats side by side, not before', () => {
    const watch = new CloneWatch()
    expect(twoMachines(watch, 3)).toEqual(new Array(6).fill(undefined))
    expect(watch.isAssumed(ID)).toBe(false)
    const verdicts = twoMachines(new CloneWatch(), 5)
    expect(verdicts.slice(0, 7).every((verdict) => verdict === undefined)).toBe(true)
    expect(verdicts[7]).toEqual({ original: `${FIRST}:${PORT}`, isNewcomer: true, isNews: true })
    expect(verdicts[8]).toEqual({ original: `${FIRST}:${PORT}`, isNewcomer: false, isNews: false })
    expect(verdicts[9]).toMatchObject({ isNewcomer: true, isNews: false })
  })

  it('counts no registration twice that is noted elsewhere a moment later', () => {
    const watch = new CloneWatch()
    const verdicts = []
    for (let beat = 0; beat < 5; beat++) {
      const nowMs = beat * 15_000
      watch.asked(ID, FIRST, PORT, nowMs)
      verdicts.push(watch.registered(ID, FIRST, PORT, beat === 0 ? undefined : at(SECOND, nowMs - 9_990), nowMs))
      watch.asked(ID, SECOND, PORT, nowMs + 5_000)
      verdicts.push(watch.registered(ID, SECOND, PORT, at(FIRST, nowMs + 10), nowMs + 5_000))
    }
    expect(verdicts.slice(0, 7).every((verdict) => verdict === undefined)).toBe(true)
    expect(verdicts.slice(7)).toMatchObject([{ isNewcomer: true }, { isNewcomer: false }, { isNewcomer: true }])
  })

  it('needs the key to have been asked for at that address a moment before', () => {
    const watch = new CloneWatch()
    for (let beat = 0; beat < 20; beat++) {
      const nowMs = beat * 15_000
      // Asked at one address, answered from the other.
      watch.asked(ID, FIRST, PORT, nowMs)
      expect(watch.registered(ID, SECOND, PORT, at(FIRST, nowMs - 10_000), nowMs)).toBeUndefined()
      watch.asked(ID, SECOND, PORT, nowMs + 5_000)
      expect(watch.registered(ID, FIRST, PORT, at(SECOND, nowMs), nowMs + 5_000)).toBeUndefined()
    }
  })

  it('forgets what an address did when it skips a beat', () => {
    const watch = new CloneWatch()
    twoMachines(watch, 5)
    expect(watch.isNewcomer(ID, SECOND, PORT, 66_000)).toBe(true)
    expect(watch.isNewcomer(ID, FIRST, PORT, 66_000)).toBe(false)
    expect(watch.isNewcomer(ID, SECOND, PORT, 90_000)).toBe(false)
    expect(watch.isNewcomer(ID, SECOND, PORT, 200_000)).toBe(false)
    expect(watch.size).toBe(0)
  })

  it('begins anew with a machine that was told', () => {
    const watch = new CloneWatch()
    twoMachines(watch, 5)
    watch.told(ID, SECOND, PORT)
    expect(watch.isAssumed(ID)).toBe(false)
    expect(watch.isNewcomer(ID, SECOND, PORT, 66_000)).toBe(false)
  })

  it('knows which machine was first where one of them is on another node', () => {
    const [here, there] = [new CloneWatch(), new CloneWatch()]
    for (let beat = 0; beat < 5; beat++) {
      const nowMs = beat * 15_500
      here.asked(ID, FIRST, PORT, nowMs)
      if (beat > 0) there.takenElsewhere(ID, at(SECOND, nowMs - 10_500), nowMs)
      const first = here.registered(ID, FIRST, PORT, undefined, nowMs)
      if (first) expect(first.isNewcomer).toBe(false)
      if (beat > 0) here.tookFromElsewhere(ID, `${FIRST}:${PORT}`, nowMs)
      here.takenElsewhere(ID, at(FIRST, nowMs), nowMs + 5_000)
      there.asked(ID, SECOND, PORT, nowMs + 5_000)
      const second = there.registered(ID, SECOND, PORT, undefined, nowMs + 5_000)
      if (second) expect(second).toMatchObject({ original: ELSEWHERE, isNewcomer: true })
      there.tookFromElsewhere(ID, `${SECOND}:${PORT}`, nowMs + 5_000)
    }
    expect([here.isAssumed(ID), there.isAssumed(ID)]).toEqual([true, true])
    expect(there.isNewcomer(ID, SECOND, PORT, 70_000)).toBe(true)
    expect(here.isNewcomer(ID, FIRST, PORT, 70_000)).toBe(false)
  })

  it('remembers nothing of devices that do not move, nor of what strangers ask for', () => {
    const watch = new CloneWatch()
    for (let nowMs = 0; nowMs < 600_000; nowMs += 15_000) {
      watch.asked(ID, SECOND, PORT, nowMs)
      watch.registered(ID, FIRST, PORT, nowMs === 0 ? undefined : at(FIRST, nowMs - 15_000), nowMs)
    }
    expect(watch.size).toBe(0)
  })

  it('has a bound, in ids and in addresses of each', () => {
    const watch = new CloneWatch()
    for (let i = 0; i < 20_000; i++) watch.registered(`id-${i}` as PeerId, SECOND, PORT, at(FIRST, 0), 1_000)
    expect(watch.size).toBe(10_000)
    const verdicts = Array.from({ length: 60_000 }, (_, port) => {
      watch.asked(ID, FIRST, port, port)
      return watch.registered(ID, FIRST, port, at(SECOND, 0), port)
    })
    expect(new Set(verdicts)).toEqual(new Set([undefined]))
  })
})
