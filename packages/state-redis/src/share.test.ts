import { describe, expect, it } from '@jest/globals'
import { StoreUnavailableError } from '@tryst/rendezvous'
import { Share } from './share.ts'

describe('a share', () => {
  it('is for so much at a time, and free again afterwards, also after a failure', async () => {
    const share = new Share(10, 'devices are being looked up')
    const { promise, resolve } = Promise.withResolvers<string>()
    const first = share.use(6, () => promise)
    await expect(share.use(5, async () => 'no')).rejects.toThrow(
      new StoreUnavailableError('6 devices are being looked up already'),
    )
    expect(await share.use(4, async () => 'yes')).toBe('yes')
    resolve('first')
    expect(await first).toBe('first')
    const failing = share.use(10, () => Promise.reject(new Error('broken')))
    await expect(failing).rejects.toThrow('broken')
    expect(await share.use(10, async () => 'again')).toBe('again')
  })
})
