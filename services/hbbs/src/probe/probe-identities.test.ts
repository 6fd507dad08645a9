import { describe, expect, it } from '@jest/globals'
import { looksLikeProbe } from '@tryst/service'
import { probeIdentities } from './probe-identities.ts'

const KEY = new Uint8Array(64).fill(7)

describe('the devices of a probe', () => {
  it('are the same at every start of a node, and can be told from others', () => {
    const identities = probeIdentities(KEY, 'a')
    expect(probeIdentities(KEY, 'a')).toEqual(identities)
    for (const { id, uuid } of Object.values(identities)) {
      expect(looksLikeProbe(id)).toBe(true)
      expect(uuid).toHaveLength(32)
    }
    for (const id of ['123456789', 'probe-1', 'my-probe-udp-01234567']) expect(looksLikeProbe(id)).toBe(false)
  })

  it('are others on another node, and with another key or none', () => {
    const ids = [probeIdentities(KEY, 'a'), probeIdentities(KEY, 'b'), probeIdentities(undefined, 'a')].flatMap((one) =>
      Object.values(one).map(({ id }) => id),
    )
    expect(new Set(ids).size).toBe(9)
  })
})
