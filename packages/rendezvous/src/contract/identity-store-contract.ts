import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { type IdentityStore, type NewPeerIdentity, StoreUnavailableError } from '../identity-store.ts'
import type { PeerId } from '../peer-identity.ts'
import { eventually } from './eventually.ts'

/** A place for identities, empty at first. */
export interface IdentityStoreFixture {
  /** Opens a store on it; several may be open at once. */
  open(): Promise<IdentityStore>
  /** Makes writing impossible until the returned function is called. */
  interruptWrites(): Promise<() => Promise<void>>
  /** Lets go of it, whatever is still open. */
  dispose(): Promise<void>
}

const laptop = '123456789' as PeerId
const desk = 'front-desk' as PeerId
const HOUR_MS = 3_600_000
const filled = (length: number, value: number) => new Uint8Array(length).fill(value)

function newcomer(id: string, value = 1): NewPeerIdentity {
  return { id: id as PeerId, uuid: filled(36, value), publicKey: filled(32, value), ip: '203.0.113.7' }
}

/** What every IdentityStore does. */
export function identityStoreContract(name: string, createFixture: () => Promise<IdentityStoreFixture>): void {
  describe(`${name} as an identity store`, () => {
    let fixture: IdentityStoreFixture
    let store: IdentityStore

    beforeEach(async () => {
      fixture = await createFixture()
      store = await fixture.open()
    })

    afterEach(async () => {
      await store.close()
      await fixture.dispose()
    })

    it('knows nothing of an id that nobody has', async () => {
      expect(await store.find(laptop)).toBeUndefined()
    })

    it('stores a new device under a guid of its own', async () => {
      const first = await store.create(newcomer('123456789'))
      const second = await store.create(newcomer('987654321'))
      expect(first).toEqual({
        created: true,
        identity: { ...newcomer('123456789'), guid: expect.any(Uint8Array), standing: 'certain' },
      })
      expect(first.identity.guid).toHaveLength(16)
      expect(second.identity.guid).not.toEqual(first.identity.guid)
      expect(await store.find(laptop)).toEqual(first.identity)
    })

    it('leaves an id with whoever has it, and tells who that is', async () => {
      const { identity } = await store.create(newcomer('123456789', 1))
      expect(await store.create(newcomer('123456789', 2))).toEqual({ created: false, identity })
      expect(await store.find(laptop)).toEqual(identity)
    })

    it('gives an id to one of many who ask for it at the same moment', async () => {
      const other = await fixture.open()
      try {
        const asked = Array.from({ length: 200 }, (_, index) =>
          (index % 2 === 0 ? store : other).create(newcomer('123456789', index)),
        )
        const answers = await Promise.all(asked)
        const winners = answers.filter(({ created }) => created)
        expect(winners).toHaveLength(1)
        for (const { identity } of answers) expect(identity).toEqual(winners[0]?.identity)
        expect(await store.find(laptop)).toEqual(winners[0]?.identity)
        expect(await other.find(laptop)).toEqual(winners[0]?.identity)
      } finally {
        await other.close()
      }
    })

    it('stores many different devices at the same moment', async () => {
      const ids = Array.from({ length: 3_000 }, (_, index) => String(100_000_000 + index))
      const answers = await Promise.all(ids.map((id, index) => store.create(newcomer(id, index % 256))))
      expect(answers.every(({ created }) => created)).toBe(true)
      const found = await Promise.all(ids.map((id) => store.find(id as PeerId)))
      expect(found).toEqual(answers.map(({ identity }) => identity))
    })

    it('answers in order while writes are under way', async () => {
      const creating = store.create(newcomer('123456789'))
      const found = store.find(laptop)
      const again = store.create(newcomer('123456789', 2))
      const { identity } = await creating
      expect(await found).toEqual(identity)
      expect(await again).toEqual({ created: false, identity })
    })

    it('changes the key and the address of a device, never its uuid or guid', async () => {
      const { identity } = await store.create(newcomer('123456789', 1))
      expect(await store.update(identity, { publicKey: filled(32, 9), ip: '2001:db8::9' })).toBe(true)
      expect(await store.find(laptop)).toEqual({ ...identity, publicKey: filled(32, 9), ip: '2001:db8::9' })
    })

    it('changes nothing when the key has changed meanwhile', async () => {
      const { identity } = await store.create(newcomer('123456789', 1))
      const change = { publicKey: filled(32, 2), ip: '203.0.113.8' }
      const outcomes = await Promise.all([
        store.update(identity, change),
        store.update(identity, { publicKey: filled(32, 3), ip: '203.0.113.9' }),
      ])
      expect(outcomes.filter(Boolean)).toHaveLength(1)
      const standing = await store.find(laptop)
      expect(await store.update(identity, { publicKey: filled(32, 4), ip: '203.0.113.10' })).toBe(false)
      expect(await store.find(laptop)).toEqual(standing)
    })

    it('changes nothing when the uuid is not the stored one, or nobody has the id', async () => {
      const { identity } = await store.create(newcomer('123456789', 1))
      const change = { publicKey: filled(32, 2), ip: '203.0.113.8' }
      expect(await store.update({ ...identity, uuid: filled(36, 2) }, change)).toBe(false)
      expect(await store.update({ ...identity, id: 'nobody' as PeerId }, change)).toBe(false)
      expect(await store.find(laptop)).toEqual(identity)
      expect(await store.find('nobody' as PeerId)).toBeUndefined()
    })

    it('keeps copies of bytes that it was handed, and hands out copies', async () => {
      const datagram = filled(200, 1)
      const creating = store.create({
        id: laptop,
        uuid: datagram.subarray(10, 46),
        publicKey: datagram.subarray(50, 82),
        ip: '203.0.113.7',
      })
      datagram.fill(0xee)
      const { identity } = await creating
      expect(identity).toMatchObject({ uuid: filled(36, 1), publicKey: filled(32, 1) })

      const key = filled(32, 2)
      const updating = store.update(identity, { publicKey: key, ip: '203.0.113.7' })
      key.fill(0xee)
      identity.uuid.fill(0xee)
      expect(await updating).toBe(true)

      const found = await store.find(laptop)
      expect(found).toMatchObject({ uuid: filled(36, 1), publicKey: filled(32, 2) })
      found?.publicKey.fill(0xee)
      expect(await store.find(laptop)).toMatchObject({ publicKey: filled(32, 2) })
    })

    it.each([
      ['a single byte', '7'],
      ['a host name', 'front-desk.example'],
      ['other scripts', 'äöü 名'],
      ['characters beyond the basic plane', '😀😀😀'],
      ['100 bytes', 'x'.repeat(100)],
      ['100 bytes of UTF-8', '名'.repeat(33).concat('x')],
      ['separators of keys', 'a:b{c}d*e?f[g]'],
      ['quotes and line ends', '\'"\\\r\n%_'],
      ['a zero byte', 'a\0b'],
      ['a name that objects have', '__proto__'],
    ])('takes ids as they are: %s', async (_, id) => {
      const { identity } = await store.create(newcomer(id))
      expect(await store.find(id as PeerId)).toEqual(identity)
      expect(identity.id).toBe(id)
    })

    it('keeps ids apart that look alike', async () => {
      const ids = ['abc', 'ABC', 'abc ', ' abc', 'é', 'e\u0301', '1', '01', '1.0', 'a\0b', 'a']
      for (const [index, id] of ids.entries()) await store.create(newcomer(id, index))
      for (const [index, id] of ids.entries())
        expect(await store.find(id as PeerId)).toMatchObject({ id, uuid: filled(36, index) })
    })

    it.each([1, 36, 256])('takes a uuid of %i bytes of any value', async (length) => {
      const uuid = Uint8Array.from({ length }, (_, index) => 255 - index)
      const { identity } = await store.create({ ...newcomer('123456789'), uuid })
      expect(identity.uuid).toEqual(uuid)
      expect(await store.find(laptop)).toEqual(identity)
      expect(await store.update(identity, { publicKey: filled(32, 2), ip: '203.0.113.8' })).toBe(true)
    })

    it('has everything that it acknowledged when it is opened again', async () => {
      const waiting = Array.from({ length: 50 }, (_, index) => store.create(newcomer(`device-${index}`, index)))
      const { identity } = await store.create(newcomer('123456789'))
      const updating = store.update(identity, { publicKey: filled(32, 5), ip: '203.0.113.8' })
      await store.close()
      const answers = await Promise.all(waiting)
      expect(await updating).toBe(true)
      store = await fixture.open()
      for (const { created, identity: stored } of answers) {
        expect(created).toBe(true)
        expect(await store.find(stored.id)).toEqual(stored)
      }
      expect(await store.find(laptop)).toEqual({ ...identity, publicKey: filled(32, 5), ip: '203.0.113.8' })
    })

    describe('a device that is removed', () => {
      it('is gone, and its id is free for whoever asks', async () => {
        await store.create(newcomer(laptop, 1))
        expect(await store.remove(laptop)).toBe(true)
        expect(await store.find(laptop)).toBeUndefined()
        expect(await store.remove(laptop)).toBe(false)
        const next = await store.create(newcomer(laptop, 2))
        expect(next).toMatchObject({ created: true })
        expect(await store.find(laptop)).toEqual(next.identity)
      })

      it('may come back under the same id', async () => {
        await store.create(newcomer(laptop, 1))
        await store.remove(laptop)
        const again = await store.create(newcomer(laptop, 1))
        expect(again).toMatchObject({ created: true })
        expect(await store.find(laptop)).toEqual(again.identity)
      })

      it('is gone for every other server too, also for one that knew it before', async () => {
        const other = await fixture.open()
        try {
          const { identity } = await store.create(newcomer(laptop, 1))
          expect(await other.find(laptop)).toEqual(identity)
          await store.remove(laptop)
          expect(await other.find(laptop)).toBeUndefined()
          expect(await other.update(identity, { publicKey: filled(32, 5), ip: '203.0.113.8' })).toBe(false)
          expect(await store.find(laptop)).toBeUndefined()
        } finally {
          await other.close()
        }
      })

      it('frees an id that was held for it', async () => {
        await store.create(newcomer(laptop, 1))
        await store.rename({ from: laptop, to: desk, uuid: filled(36, 1), holdMs: HOUR_MS })
        expect(await store.remove(laptop)).toBe(true)
        expect(await store.create(newcomer(laptop, 2))).toMatchObject({ created: true })
        expect(await store.find(desk)).toMatchObject({ uuid: filled(36, 1) })
      })

      it('stays where nothing can be written', async () => {
        const { identity } = await store.create(newcomer(laptop, 1))
        const resume = await fixture.interruptWrites()
        await expect(store.remove(laptop)).rejects.toThrow(StoreUnavailableError)
        await resume()
        expect(await store.find(laptop)).toMatchObject({ uuid: identity.uuid })
      })
    })

    describe('a device that takes another id', () => {
      const rename = (from: PeerId, to: PeerId, value = 1, holdMs = HOUR_MS) =>
        store.rename({ from, to, uuid: filled(36, value), holdMs })

      it('has it from then on, with its guid, and the old one leads to it', async () => {
        const { identity } = await store.create(newcomer(laptop))
        expect(await rename(laptop, desk)).toBe('renamed')
        expect(await store.find(desk)).toEqual({ ...identity, id: desk })
        expect(await store.find(laptop)).toEqual({ ...identity, movedTo: desk })
        const changed = { publicKey: filled(32, 9), ip: '203.0.113.8' }
        expect(await store.update({ ...identity, id: desk }, changed)).toBe(true)
        expect(await store.find(desk)).toEqual({ ...identity, id: desk, ...changed })
        expect(await store.update(identity, changed)).toBe(false)
      })

      it('is told the same when it asks again', async () => {
        await store.create(newcomer(laptop))
        expect(await rename(laptop, desk)).toBe('renamed')
        expect(await rename(laptop, desk)).toBe('renamed')
        expect(await rename(laptop, 'elsewhere' as PeerId)).toBe('not-its-own')
      })

      it('has to prove itself by the uuid', async () => {
        const { identity } = await store.create(newcomer(laptop))
        expect(await rename(laptop, desk, 2)).toBe('not-its-own')
        expect(await rename('nobody' as PeerId, desk)).toBe('not-its-own')
        expect(await store.find(laptop)).toEqual(identity)
        expect(await store.find(desk)).toBeUndefined()
      })

      it('does not get the id of another one', async () => {
        const { identity } = await store.create(newcomer(laptop, 1))
        const other = await store.create(newcomer(desk, 2))
        expect(await rename(laptop, desk)).toBe('taken')
        expect(await store.find(laptop)).toEqual(identity)
        expect(await store.find(desk)).toEqual(other.identity)
      })

      it('gets an id that it has registered already; that row stays', async () => {
        const { identity } = await store.create(newcomer(laptop))
        const registered = await store.create({ ...newcomer(desk), publicKey: filled(32, 8) })
        expect(await rename(laptop, desk)).toBe('renamed')
        const expected = { ...registered.identity, publicKey: identity.publicKey }
        expect(await store.find(desk)).toEqual(expected)
        expect(await store.find(laptop)).toMatchObject({ movedTo: desk })
      })

      it('may go back and forth', async () => {
        const { identity } = await store.create(newcomer(laptop))
        for (let round = 0; round < 3; round++) {
          expect(await rename(laptop, desk)).toBe('renamed')
          expect(await rename(desk, laptop)).toBe('renamed')
          expect(await store.find(laptop)).toEqual(identity)
          expect(await store.find(desk)).toEqual({ ...identity, id: desk, movedTo: laptop })
        }
      })

      it('has its old id held for a while: nobody else gets it, it may', async () => {
        await store.create(newcomer(laptop, 1))
        const visitor = await store.create(newcomer('555555555', 2))
        await rename(laptop, desk)
        expect(await store.create(newcomer(laptop, 2))).toMatchObject({ created: false, identity: { movedTo: desk } })
        expect(await rename('555555555' as PeerId, laptop, 2)).toBe('taken')
        expect(await store.find('555555555' as PeerId)).toEqual(visitor.identity)
        const again = await store.create(newcomer(laptop, 1))
        expect(again).toMatchObject({ created: true })
        expect(await store.find(laptop)).toEqual(again.identity)
        expect(await store.find(desk)).toMatchObject({ uuid: filled(36, 1) })
      })

      it('has given the old id free afterwards', async () => {
        await store.create(newcomer(laptop, 1))
        await rename(laptop, desk, 1, 1)
        await eventually(async () => expect(await store.find(laptop)).toBeUndefined())
        const next = await store.create(newcomer(laptop, 2))
        expect(next).toMatchObject({ created: true })
        expect(await store.find(laptop)).toEqual(next.identity)
        expect(await store.find(desk)).toMatchObject({ uuid: filled(36, 1) })
        await rename(desk, 'third-name' as PeerId, 1, 1)
        await eventually(async () => expect(await store.find(desk)).toBeUndefined())
        expect(await rename(laptop, desk, 2)).toBe('renamed')
        expect(await store.find(desk)).toEqual({ ...next.identity, id: desk })
      })

      it('is seen so by every other server, also by one that knew it before', async () => {
        const other = await fixture.open()
        try {
          const { identity } = await store.create(newcomer(laptop))
          expect(await other.find(laptop)).toEqual(identity)
          await rename(laptop, desk)
          await eventually(async () => expect(await other.find(laptop)).toMatchObject({ movedTo: desk }))
          expect(await other.find(desk)).toEqual({ ...identity, id: desk })
        } finally {
          await other.close()
        }
      })

      it('is free for every other server as soon as for one', async () => {
        const other = await fixture.open()
        try {
          const { identity } = await store.create(newcomer(laptop))
          expect(await other.find(laptop)).toEqual(identity)
          await rename(laptop, desk, 1, 1)
          await eventually(async () => expect(await store.find(laptop)).toBeUndefined())
          await eventually(async () => expect(await other.find(laptop)).toBeUndefined())
          const next = await store.create(newcomer(laptop, 2))
          expect(await other.find(laptop)).toEqual(next.identity)
        } finally {
          await other.close()
        }
      })

      it('gets an id that many want at the same moment only if nobody else does', async () => {
        const other = await fixture.open()
        try {
          const devices = Array.from({ length: 20 }, (_, index) => `device-${index}` as PeerId)
          for (const [index, id] of devices.entries()) await store.create(newcomer(id, index))
          const outcomes = await Promise.all(
            devices.map((from, index) =>
              (index % 2 === 0 ? store : other).rename({
                ...{ from, to: desk, uuid: filled(36, index), holdMs: HOUR_MS },
              }),
            ),
          )
          expect(outcomes.filter((outcome) => outcome === 'renamed')).toHaveLength(1)
          const winner = outcomes.indexOf('renamed')
          expect(await store.find(desk)).toMatchObject({ uuid: filled(36, winner) })
          for (const [index, id] of devices.entries()) {
            const found = await other.find(id)
            expect(found).toMatchObject({ uuid: filled(36, index) })
            expect(found?.movedTo).toBe(index === winner ? desk : undefined)
          }
        } finally {
          await other.close()
        }
      })

      it('keeps its old id where nothing can be written', async () => {
        const { identity } = await store.create(newcomer(laptop))
        const resume = await fixture.interruptWrites()
        await expect(rename(laptop, desk)).rejects.toThrow(StoreUnavailableError)
        await resume()
        expect(await store.find(laptop)).toMatchObject({ uuid: identity.uuid })
        expect(await rename(laptop, desk)).toBe('renamed')
        expect(await store.find(desk)).toMatchObject({ guid: identity.guid })
      })

      it.each(['a\0b:c', '{1}:peer:x', '1:2:3', ':', 'line\nbreak'])('may have any id: %j', async (id) => {
        const { identity } = await store.create(newcomer(laptop))
        expect(await rename(laptop, id as PeerId)).toBe('renamed')
        expect(await store.find(laptop)).toEqual({ ...identity, movedTo: id })
        expect(await store.find(id as PeerId)).toEqual({ ...identity, id })
      })

      it('has it when the store is opened again', async () => {
        const { identity } = await store.create(newcomer(laptop))
        await rename(laptop, desk)
        await store.close()
        store = await fixture.open()
        expect(await store.find(desk)).toEqual({ ...identity, id: desk })
        expect(await store.find(laptop)).toEqual({ ...identity, movedTo: desk })
      })
    })

    it('says that it is not available once it is closed, also when it is closed twice', async () => {
      const { identity } = await store.create(newcomer('123456789'))
      await store.close()
      await store.close()
      await expect(store.find(laptop)).rejects.toThrow(StoreUnavailableError)
      await expect(store.create(newcomer('987654321'))).rejects.toThrow(StoreUnavailableError)
      await expect(store.update(identity, identity)).rejects.toThrow(StoreUnavailableError)
    })

    it('acknowledges nothing while it cannot write, and goes on afterwards', async () => {
      const { identity } = await store.create(newcomer('123456789'))
      const resume = await fixture.interruptWrites()
      const refused = await Promise.allSettled([
        store.create(newcomer('987654321')),
        store.create(newcomer('123456789', 2)),
        store.update(identity, { publicKey: filled(32, 2), ip: '203.0.113.8' }),
      ])
      for (const outcome of refused)
        expect(outcome).toEqual({ status: 'rejected', reason: expect.any(StoreUnavailableError) })
      await resume()
      expect(await store.create(newcomer('555555555'))).toMatchObject({ created: true })
      // What was refused does not happen later.
      expect(await store.find('987654321' as PeerId)).toBeUndefined()
      expect(await store.find(laptop)).toMatchObject({ uuid: identity.uuid, publicKey: identity.publicKey })
    })
  })
}
