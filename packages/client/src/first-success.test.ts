import { describe, expect, it } from '@jest/globals'
import { firstSuccess, type Way } from './first-success.ts'

const never = new AbortController().signal
/** A way that ends when it is told to, and notes when it is given up. */
function way() {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const state = { isGivenUp: false }
  const run: Way<string> = (signal) => {
    signal.addEventListener('abort', () => {
      state.isGivenUp = true
    })
    return promise
  }
  return { run, resolve, reject, state }
}

describe('the first of several ways', () => {
  it('wins; the others are given up, and what they get all the same is discarded', async () => {
    const [a, b, c] = [way(), way(), way()]
    const discarded: string[] = []
    const first = firstSuccess([a.run, b.run, c.run], never, (late) => discarded.push(late))
    a.reject(new Error('no'))
    b.resolve('b')
    expect(await first).toBe('b')
    expect([a, b, c].map(({ state }) => state.isGivenUp)).toEqual([true, false, true])
    c.resolve('c')
    await Promise.resolve()
    expect(discarded).toEqual(['c'])
  })

  it('says why the first of them failed when all have', async () => {
    const [a, b] = [way(), way()]
    const first = firstSuccess([a.run, b.run], never, () => undefined)
    b.reject(new Error('b'))
    a.reject(new Error('a'))
    await expect(first).rejects.toThrow('a')
  })

  it('is given up with the rest when nobody wants it', () => {
    const wish = new AbortController()
    const a = way()
    void firstSuccess([a.run], wish.signal, () => undefined)
    wish.abort()
    expect(a.state.isGivenUp).toBe(true)
  })
})
