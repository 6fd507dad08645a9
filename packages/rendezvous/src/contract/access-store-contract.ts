import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import {
  type AccessStore,
  type DeployToken,
  type DeviceClaim,
  type DeviceFingerprints,
  MAX_PENDING_DEVICES,
  MAX_PENDING_OF_ID,
  MAX_PENDING_OF_SOURCE,
  REFRESH_PENDING_MS,
} from '../device-access.ts'
import { StoreUnavailableError } from '../identity-store.ts'
import type { PeerId } from '../peer-identity.ts'

/** A place for what operators say, empty at first. */
export interface AccessStoreFixture {
  /** Opens a store on it; several may be open at once. */
  open(): Promise<AccessStore>
  /** Makes every call fail until the returned function is called. Not there: this store cannot fail. */
  interrupt?(): Promise<() => Promise<void>>
  /** Lets go of it and of every store that was opened. */
  dispose(): Promise<void>
}

const NOW = Date.UTC(2026, 0, 1)
const laptop = '123456789' as PeerId

function claim(id: string = laptop, { uuid = 1, key = 1, ip = '203.0.113.7' } = {}): DeviceClaim {
  return { id: id as PeerId, uuid: new Uint8Array(36).fill(uuid), publicKey: new Uint8Array(32).fill(key), ip }
}

const token = (name: string, limits: Partial<DeployToken> = {}): DeployToken => ({
  ...{ name, hash: `hash of ${name}`, createdMs: NOW, expiresMs: undefined, usesLeft: undefined, used: 0 },
  ...limits,
})

/** What every AccessStore does. */
export function accessStoreContract(name: string, createFixture: () => Promise<AccessStoreFixture>): void {
  describe(`${name} as an access store`, () => {
    let fixture: AccessStoreFixture
    let store: AccessStore

    beforeEach(async () => {
      fixture = await createFixture()
      store = await fixture.open()
    })

    afterEach(async () => {
      await fixture.dispose()
    })

    const onlyListed = async (): Promise<DeviceFingerprints> => {
      const [first, ...others] = await store.listed()
      if (!first || others.length > 0) throw new Error(`${others.length + (first ? 1 : 0)} devices are listed, not one`)
      return first
    }

    it('knows nothing at first', async () => {
      expect(await store.standing(claim())).toBe('unknown')
      expect(await store.listed()).toEqual([])
      expect(await store.invites()).toEqual([])
      expect(await store.tokens()).toEqual([])
      expect((await store.notes()).size).toBe(0)
    })

    it('lists a device that waits, by fingerprints', async () => {
      await store.enlist(claim(), 'new-device', NOW)
      expect(await store.standing(claim())).toBe('pending')
      expect(await store.listed()).toEqual([
        {
          id: laptop,
          uuid: '37418419cb1f8b74b17c321c44b9e338',
          key: '72cd6e8422c407fb6d098690f1130b7d',
          state: 'pending',
          why: 'new-device',
          ip: '203.0.113.7',
          firstSeenMs: NOW,
          lastSeenMs: NOW,
        },
      ])
    })

    it('keeps the first time and the last address of a device that goes on waiting', async () => {
      await store.enlist(claim(), 'new-device', NOW)
      await store.enlist(claim(laptop, { ip: '198.51.100.1' }), 'new-device', NOW + REFRESH_PENDING_MS)
      expect(await store.listed()).toMatchObject([
        { ip: '198.51.100.1', firstSeenMs: NOW, lastSeenMs: NOW + REFRESH_PENDING_MS },
      ])
    })

    it('admits the device that was approved, and nobody else with its id', async () => {
      await store.enlist(claim(), 'new-device', NOW)
      expect(await store.decide(await onlyListed(), 'approved', NOW)).toBe(true)
      expect(await store.standing(claim())).toBe('approved')
      expect(await store.standing(claim(laptop, { uuid: 2 }))).toBe('unknown')
      expect(await store.standing(claim(laptop, { key: 2 }))).toBe('unknown')
    })

    it('tells devices apart that wait for the same id', async () => {
      await store.enlist(claim(laptop, { uuid: 1 }), 'new-device', NOW)
      await store.enlist(claim(laptop, { uuid: 2 }), 'new-device', NOW + 1)
      const [second, first] = await store.listed()
      expect(second).toMatchObject({ id: laptop, firstSeenMs: NOW + 1 })
      await store.decide(first as DeviceFingerprints, 'approved', NOW + 2)
      expect(await store.standing(claim(laptop, { uuid: 1 }))).toBe('approved')
      expect(await store.standing(claim(laptop, { uuid: 2 }))).toBe('pending')
    })

    it('remembers a refusal, which asking again does not change', async () => {
      await store.enlist(claim(), 'new-device', NOW)
      await store.decide(await onlyListed(), 'refused', NOW)
      await store.enlist(claim(), 'new-device', NOW + 1)
      expect(await store.standing(claim())).toBe('refused')
      expect(await store.listed()).toMatchObject([{ state: 'refused' }])
    })

    it('lets the operator think again', async () => {
      await store.enlist(claim(), 'new-device', NOW)
      const device = await onlyListed()
      await store.decide(device, 'refused', NOW)
      expect(await store.decide(device, 'approved', NOW + 1)).toBe(true)
      expect(await store.standing(claim())).toBe('approved')
    })

    it('decides nothing about a device that is not listed', async () => {
      expect(await store.decide({ id: laptop, uuid: '00', key: '00' }, 'approved', NOW)).toBe(false)
      expect(await store.listed()).toEqual([])
    })

    it('has used up what let a device in once it is registered', async () => {
      await store.invite(laptop, NOW)
      await store.enlist(claim(), 'new-device', NOW)
      await store.enlist(claim(laptop, { uuid: 2 }), 'new-device', NOW)
      await store.settle(claim())
      expect(await store.listed()).toEqual([])
      expect(await store.invites()).toEqual([])
      expect(await store.standing(claim())).toBe('unknown')
    })

    it('invites whichever device comes first, and counts the word on a device before that on its id', async () => {
      await store.invite(laptop, NOW)
      expect(await store.standing(claim(laptop, { uuid: 7 }))).toBe('invited')
      expect(await store.standing(claim('987654321'))).toBe('unknown')
      expect(await store.invites()).toEqual([{ id: laptop, createdMs: NOW }])
      await store.enlist(claim(), 'new-device', NOW)
      expect(await store.standing(claim())).toBe('invited')
      await store.decide(await onlyListed(), 'refused', NOW)
      expect(await store.standing(claim())).toBe('refused')
    })

    it('forgets everything about an id', async () => {
      await store.invite(laptop, NOW)
      await store.enlist(claim(), 'new-device', NOW)
      await store.setNote(laptop, 'in the kitchen')
      await store.enlist(claim('987654321'), 'key-changed', NOW)
      expect(await store.forget(laptop)).toBe(true)
      expect(await store.forget(laptop)).toBe(false)
      expect(await store.standing(claim())).toBe('unknown')
      expect(await store.invites()).toEqual([])
      expect((await store.notes()).size).toBe(0)
      expect(await store.listed()).toMatchObject([{ id: '987654321', why: 'key-changed' }])
    })

    it('keeps notes, and takes them along to another id', async () => {
      await store.setNote(laptop, 'first floor')
      await store.setNote(laptop, 'Büro 2, "links"')
      await store.rename(laptop, 'reception' as PeerId)
      expect(await store.notes()).toEqual(new Map([['reception', 'Büro 2, "links"']]))
      await store.setNote('reception' as PeerId, '')
      expect((await store.notes()).size).toBe(0)
    })

    it(`keeps ${MAX_PENDING_DEVICES} waiting devices; those not seen for longest go`, async () => {
      const ipOf = (index: number) => `198.51.${Math.floor(index / MAX_PENDING_OF_SOURCE)}.1`
      for (let index = 0; index <= MAX_PENDING_DEVICES; index++)
        await store.enlist(claim(`device${index}`, { ip: ipOf(index) }), 'new-device', NOW + index)
      const listed = await store.listed()
      expect(listed).toHaveLength(MAX_PENDING_DEVICES)
      expect(await store.standing(claim('device0', { ip: ipOf(0) }))).toBe('unknown')
      expect(await store.standing(claim('device1', { ip: ipOf(0) }))).toBe('pending')
    })

    it('lets one network push out its own devices only', async () => {
      await store.enlist(claim('quiet', { ip: '192.0.2.1' }), 'new-device', NOW)
      for (let index = 0; index <= MAX_PENDING_OF_SOURCE; index++)
        await store.enlist(claim(`loud${index}`, { ip: `2001:db8::${index}` }), 'new-device', NOW + index)
      const ids = (await store.listed()).map(({ id }) => id)
      expect(ids).toHaveLength(MAX_PENDING_OF_SOURCE + 1)
      expect(ids).toContain('quiet')
      expect(ids).not.toContain('loud0')
    })

    it('keeps a few of those that claim the same id', async () => {
      for (let uuid = 0; uuid <= MAX_PENDING_OF_ID; uuid++)
        await store.enlist(claim(laptop, { uuid, ip: `192.0.2.${uuid}` }), 'new-device', NOW + uuid)
      expect(await store.listed()).toHaveLength(MAX_PENDING_OF_ID)
    })

    it('does not push out devices that were decided', async () => {
      await store.enlist(claim('approved', { ip: '2001:db8::1' }), 'new-device', NOW)
      await store.decide(await onlyListed(), 'approved', NOW)
      for (let index = 0; index <= MAX_PENDING_OF_SOURCE; index++)
        await store.enlist(claim(`loud${index}`, { ip: '2001:db8::1' }), 'new-device', NOW + index)
      expect(await store.standing(claim('approved'))).toBe('approved')
    })

    it('counts the uses of a token, gives one back, and ends at the last', async () => {
      expect(await store.addToken(token('roll-out', { usesLeft: 2 }))).toBe(true)
      expect(await store.spendToken('hash of roll-out', NOW)).toBe('accepted')
      expect(await store.spendToken('hash of roll-out', NOW)).toBe('accepted')
      expect(await store.spendToken('hash of roll-out', NOW)).toBe('used-up')
      await store.returnToken('hash of roll-out')
      expect(await store.tokens()).toEqual([token('roll-out', { usesLeft: 1, used: 1 })])
      expect(await store.spendToken('hash of roll-out', NOW)).toBe('accepted')
    })

    it('gives the last use of a token to one of many who want it at the same moment', async () => {
      const other = await fixture.open()
      await store.addToken(token('once', { usesLeft: 1 }))
      const uses = await Promise.all(
        Array.from({ length: 20 }, (_, index) => (index % 2 ? store : other).spendToken('hash of once', NOW)),
      )
      expect(uses.filter((use) => use === 'accepted')).toHaveLength(1)
    })

    it('lets tokens lapse, and knows no others', async () => {
      await store.addToken(token('today', { expiresMs: NOW + 1_000 }))
      expect(await store.spendToken('hash of today', NOW + 999)).toBe('accepted')
      expect(await store.spendToken('hash of today', NOW + 1_000)).toBe('expired')
      expect(await store.spendToken('hash of another', NOW)).toBe('unknown')
      expect(await store.tokens()).toEqual([token('today', { expiresMs: NOW + 1_000, used: 1 })])
    })

    it('revokes tokens by their name, which no other has', async () => {
      await store.addToken(token('a'))
      expect(await store.addToken(token('a', { hash: 'another' }))).toBe(false)
      await store.addToken(token('b'))
      expect(await store.revokeToken('a')).toBe(true)
      expect(await store.revokeToken('a')).toBe(false)
      expect(await store.spendToken('hash of a', NOW)).toBe('unknown')
      expect(await store.tokens()).toEqual([token('b')])
    })

    it('shares everything with another that is open on the same place', async () => {
      const other = await fixture.open()
      await store.enlist(claim(), 'new-device', NOW)
      await other.decide(await onlyListed(), 'approved', NOW)
      expect(await store.standing(claim())).toBe('approved')
    })

    it('says that it cannot tell where it cannot', async () => {
      if (!fixture.interrupt) return
      const resume = await fixture.interrupt()
      await expect(store.invite(laptop, NOW)).rejects.toThrow(StoreUnavailableError)
      await resume()
    })
  })
}
