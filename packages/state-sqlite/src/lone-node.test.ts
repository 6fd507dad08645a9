import { describe, expect, it } from '@jest/globals'
import type { Cluster, PeerId } from '@tryst/rendezvous'
import { LoneNode } from './lone-node.ts'

describe('LoneNode', () => {
  it('is alone and finds nobody elsewhere', async () => {
    const cluster: Cluster = new LoneNode()
    const laptop = '123456789' as PeerId
    const answer = {
      kind: 'relay-response',
      handle: new Uint8Array(),
      id: laptop,
      message: new Uint8Array(),
      from: { ip: '203.0.113.7', port: 1 },
    } as const
    expect(cluster.isAlone).toBe(true)
    await cluster.claim(laptop, '203.0.113.7')
    expect(await cluster.locate([laptop, laptop])).toEqual([undefined, undefined])
    expect(await cluster.answer(answer)).toBe(false)
    await cluster.release(laptop)
    await cluster.leave()
    await cluster.leave()
  })
})
