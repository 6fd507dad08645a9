import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { AnnouncedRelay, RelayAnnouncer, RelayDirectory } from '../relay-directory.ts'
import { eventually } from './eventually.ts'

/** A directory without relays, and a way to announce them to it. */
export interface RelayDirectoryFixture {
  readonly directory: RelayDirectory
  readonly announcer: RelayAnnouncer
  /** Lets time pass for leases. */
  passTime(ms: number): Promise<void>
  dispose(): Promise<void>
}

/** The lease of a relay; what a directory knows may be a second old. */
const LEASE_MS = 3_000
/** Leases may take real time. */
const TIMEOUT_MS = 40_000

const east: AnnouncedRelay = {
  address: 'relay-east.example:21117',
  name: 'east-1',
  region: 'east',
  capacityBitsPerSecond: 10_000_000_000,
  loadBitsPerSecond: 1_500_000,
  isDraining: false,
}
const west: AnnouncedRelay = {
  ...east,
  address: '[2001:db8::1]:21117',
  name: '名 2',
  region: '',
  loadBitsPerSecond: 0,
}

/** What every RelayDirectory does with what its RelayAnnouncer is told. */
export function relayDirectoryContract(name: string, createFixture: () => Promise<RelayDirectoryFixture>): void {
  describe(`${name} as a relay directory`, () => {
    let fixture: RelayDirectoryFixture

    beforeEach(async () => {
      fixture = await createFixture()
    })

    afterEach(async () => {
      await fixture.dispose()
    })

    const expectLive = (...relays: AnnouncedRelay[]) =>
      eventually(() => {
        const live = [...fixture.directory.live()]
        const byAddress = (a: AnnouncedRelay, b: AnnouncedRelay) => (a.address < b.address ? -1 : 1)
        expect(live.sort(byAddress)).toEqual(relays.sort(byAddress))
      })

    it('is empty at first', () => {
      expect(fixture.directory.live()).toEqual([])
    })

    it('has the relays that announced themselves', async () => {
      await fixture.announcer.announce(east, LEASE_MS)
      await fixture.announcer.announce(west, LEASE_MS)
      await expectLive(east, west)
    })

    it('has what a relay said last', async () => {
      await fixture.announcer.announce(east, LEASE_MS)
      const busier = { ...east, loadBitsPerSecond: 9_000_000_000 }
      await fixture.announcer.announce(busier, LEASE_MS)
      await expectLive(busier)
    })

    it('has a relay that drains, marked as such', async () => {
      await fixture.announcer.announce(east, 20 * LEASE_MS)
      await fixture.announcer.announce({ ...east, isDraining: true }, 20 * LEASE_MS)
      await expectLive({ ...east, isDraining: true })
    })

    it('is fresh while nothing is wrong', () => {
      expect(fixture.directory.isFresh).toBe(true)
    })

    it(
      'forgets a relay that does not renew its announcement',
      async () => {
        await fixture.announcer.announce(east, LEASE_MS)
        await fixture.announcer.announce(west, 20 * LEASE_MS)
        await expectLive(east, west)
        await fixture.passTime(LEASE_MS)
        await expectLive(west)
      },
      TIMEOUT_MS,
    )

    it(
      'keeps a relay that renews its announcement',
      async () => {
        await fixture.announcer.announce(east, LEASE_MS)
        await fixture.passTime(LEASE_MS / 2)
        await fixture.announcer.announce(east, 20 * LEASE_MS)
        await fixture.passTime(LEASE_MS)
        await expectLive(east)
      },
      TIMEOUT_MS,
    )

    it('forgets a relay that withdraws, and takes it back when it announces itself again', async () => {
      await fixture.announcer.announce(east, LEASE_MS)
      await fixture.announcer.announce(west, 20 * LEASE_MS)
      await fixture.announcer.withdraw(east.address)
      await fixture.announcer.withdraw(east.address)
      await expectLive(west)
      await fixture.announcer.announce(east, 20 * LEASE_MS)
      await expectLive(east, west)
    })
  })
}
