import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { IdleWatch } from './idle-watch.ts'

describe('IdleWatch', () => {
  beforeEach(() => void jest.useFakeTimers())
  afterEach(() => void jest.useRealTimers())

  it('finds what was idle for too long, once, and nothing else', () => {
    const idle: string[] = []
    const watch = new IdleWatch<{ name: string }>(1_000, ({ name }) => void idle.push(name))
    const [quiet, busy] = [{ name: 'quiet' }, { name: 'busy' }]
    watch.touch(quiet)
    watch.touch(busy)
    jest.advanceTimersByTime(900)
    watch.touch(busy)
    jest.advanceTimersByTime(900)
    expect(idle).toEqual(['quiet'])
    jest.advanceTimersByTime(5_000)
    expect(idle).toEqual(['quiet', 'busy'])
    watch.close()
  })

  it('forgets what is dropped, and keeps no timer when there is nothing to watch', () => {
    const idle: object[] = []
    const watch = new IdleWatch<object>(1_000, (one) => void idle.push(one))
    const one = {}
    watch.touch(one)
    expect(watch.drop(one)).toBe(true)
    expect(watch.drop(one)).toBe(false)
    jest.advanceTimersByTime(2_000)
    expect(idle).toEqual([])
    expect(jest.getTimerCount()).toBe(0)
  })
})
