import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { HalfPlace, SessionBroker } from '../session-broker.ts'

/** Relays that share one memory of sessions, and an ID server that introduces them. Tickets are required. */
export interface SessionBrokerFixture {
  /** The broker of one relay, and the name by which the others know that relay. */
  relay(number: 1 | 2 | 3): { readonly node: string; readonly broker: Pick<SessionBroker, 'meet' | 'met' | 'leave'> }
  issue(uuid: string, device: string): Promise<void>
  /** Everything that was told has taken effect. */
  settled(): Promise<void>
  dispose(): Promise<void>
}

const DEVICE = '123456789'

/** What every SessionBroker answers. */
export function sessionBrokerContract(name: string, createFixture: () => Promise<SessionBrokerFixture>): void {
  describe(`${name} as a broker of sessions`, () => {
    let fixture: SessionBrokerFixture
    let uuid: string
    let sessions = 0

    beforeEach(async () => {
      fixture = await createFixture()
      uuid = `session ${++sessions} ${Math.random()}`
      await fixture.issue(uuid, DEVICE)
    })

    afterEach(async () => {
      await fixture.dispose()
    })

    const meet = (number: 1 | 2 | 3, half: string, more: { device?: string; gone?: HalfPlace } = {}) =>
      fixture.relay(number).broker.meet({ uuid, name: half, device: '', ...more })
    const place = (number: 1 | 2 | 3, half: string): HalfPlace => ({ node: fixture.relay(number).node, half })
    const leave = (number: 1 | 2 | 3, half: string) => {
      fixture.relay(number).broker.leave(uuid, half)
      return fixture.settled()
    }
    const met = (number: 1 | 2 | 3) => {
      fixture.relay(number).broker.met(uuid)
      return fixture.settled()
    }

    it('lets the first half wait and sends the second to it', async () => {
      expect(await meet(1, 'b')).toEqual({ kind: 'wait', device: DEVICE })
      expect(await meet(2, 'a', { device: DEVICE })).toEqual({ kind: 'join', ...place(1, 'b') })
    })

    it('answers the same when it is asked again', async () => {
      for (let i = 0; i < 2; i++) expect(await meet(1, 'b')).toEqual({ kind: 'wait', device: DEVICE })
      for (let i = 0; i < 2; i++) expect(await meet(2, 'b')).toEqual({ kind: 'join', ...place(1, 'b') })
    })

    it('knows sessions by what was issued, and the first issue counts', async () => {
      await fixture.issue(uuid, '987654321')
      expect(await meet(1, 'a', { device: '987654321' })).toEqual({ kind: 'wrong-device' })
      expect(await meet(1, 'a', { device: DEVICE })).toEqual({ kind: 'wait', device: DEVICE })
      uuid = 'made up'
      expect(await meet(1, 'b')).toEqual({ kind: 'no-ticket' })
    })

    it('has two halves for one another while they are on their way, and nobody else once they have met', async () => {
      await meet(1, 'b')
      await meet(2, 'a')
      expect(await meet(3, 'c')).toEqual({ kind: 'busy' })
      await met(2)
      expect(await meet(3, 'c')).toEqual({ kind: 'used' })
      await fixture.issue(uuid, DEVICE)
      expect(await meet(3, 'd')).toEqual({ kind: 'used' })
    })

    it('lets nobody else in when two have met on one relay', async () => {
      await meet(1, 'b')
      await met(1)
      expect(await meet(2, 'c')).toEqual({ kind: 'used' })
      expect(await meet(1, 'd')).toEqual({ kind: 'used' })
    })

    it('gives the place of a half that has left while it waited to the next', async () => {
      await meet(1, 'b')
      await leave(2, 'b')
      expect(await meet(2, 'b')).toEqual({ kind: 'join', ...place(1, 'b') })
      await leave(2, 'b')
      await leave(1, 'b')
      expect(await meet(3, 'b')).toEqual({ kind: 'wait', device: DEVICE })
    })

    it('sends the next to the half that waits when one has left on its way there', async () => {
      await meet(1, 'b')
      await meet(2, 'a')
      await leave(2, 'a')
      expect(await meet(3, 'c')).toEqual({ kind: 'join', ...place(1, 'b') })
    })

    it('makes the second half the waiting one when the first has gone, with a word or without', async () => {
      for (const word of ['without', 'with', 'late']) {
        uuid = `gone ${word} ${Math.random()}`
        await fixture.issue(uuid, DEVICE)
        await meet(1, 'b')
        await meet(2, 'a')
        if (word === 'with') await leave(1, 'b')
        expect(await meet(2, 'a', { gone: place(1, 'b') })).toEqual({ kind: 'wait', device: DEVICE })
        if (word === 'late') await leave(1, 'b')
        expect(await meet(1, 'c')).toEqual({ kind: 'join', ...place(2, 'a') })
      }
    })

    it('does not take one half for gone because another of that name was', async () => {
      await meet(1, 'b')
      await meet(2, 'a')
      await leave(1, 'b')
      await meet(3, 'b')
      const meeting = await meet(2, 'a', { gone: place(1, 'b') })
      expect(meeting).toEqual({ kind: 'join', ...place(3, 'b') })
    })

    it('has exactly one waiting place for any number that ask at once', async () => {
      const all = await Promise.all(([1, 2, 3, 1, 2, 3] as const).map((number, index) => meet(number, `h${index}`)))
      const kinds = all.map(({ kind }) => kind).sort()
      expect(kinds).toEqual(['busy', 'busy', 'busy', 'busy', 'join', 'wait'])
    })
  })
}
