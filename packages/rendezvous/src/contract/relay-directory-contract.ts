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

const LEASE_MS = 1_000

const east: AnnouncedRelay = {
  address: 'relay-east.example:21117',
  region: 'east',
  capacityBitsPerSecond: 10_000_000_000,
  loadBitsPerSecond: 1_500_000,
}
const west: AnnouncedRelay = { ...east, address: '[2001:db8::1]:21117', region: '', loadBitsPerSecond: 0 }

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

    it('forgets a relay that does not renew its announcement', async () => {
      await fixture.announcer.announce(east, LEASE_MS)
      await fixture.announcer.announce(west, 20 * LEASE_MS)
      await expectLive(east, west)
      await fixture.passTime(LEASE_MS)
      await expectLive(west)
    })

    it('keeps a relay that renews its announcement', async () => {
      await fixture.announcer.announce(east, LEASE_MS)
      await fixture.passTime(LEASE_MS / 2)
      await fixture.announcer.announce(east, 20 * LEASE_MS)
      await fixture.passTime(LEASE_MS)
      await expectLive(east)
    })

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
