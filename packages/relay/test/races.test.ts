import { describe, expect, it } from '@jest/globals'
import { AddressList } from '../src/address-list.ts'
import { DEFAULT_BANDWIDTH } from '../src/bandwidth.ts'
import { type Dial, SharedSessions, seeded } from '../src/contract/shared-sessions.ts'
import { DEFAULT_RELAY_SETTINGS, Relay } from '../src/relay.ts'
import { FakeClock } from './fake-clock.ts'
import { FakeHalf } from './fake-half.ts'

const DEVICE = '123456789'
const SEEDS = 1_000

/** What one end is told, the other hears. */
class JoinedHalf extends FakeHalf {
  other: JoinedHalf | undefined
  override writeBytes(bytes: Uint8Array): void {
    this.other?.says(Uint8Array.from(bytes))
  }
  override end(): void {
    this.other?.hangsUp()
  }
  override close(): void {
    this.other?.vanishes()
  }
  override destroy(): void {
    this.other?.vanishes()
  }
}

/** Relays with one memory; every step takes a time drawn from the seed, so that each seed is another order of things. */
function fleet(seed: number, { requiresTickets = true } = {}) {
  const clock = new FakeClock()
  const random = seeded(seed)
  const delay = () => new Promise<void>((resolve) => void clock.after(Math.floor(random() * 20), resolve))
  const sessions = new SharedSessions({ clock, delay, requiresTickets })
  const relays = new Map<string, Relay>()
  const dial: Dial = async ({ node, half }, uuid) => {
    await delay()
    const [near, far] = [new JoinedHalf(), new JoinedHalf()]
    near.other = far
    far.other = near
    const isThere = relays.get(node)?.join(uuid, half, far)
    // The answer is on its way while bytes may already flow: the stream keeps them until somebody listens.
    return isThere ? near : undefined
  }
  const heard: string[] = []
  for (const name of ['one', 'two', 'three']) {
    const say = (what: string) => (): void => void heard.push(`${name} ${what}`)
    const relay = new Relay({
      settings: {
        ...DEFAULT_RELAY_SETTINGS,
        expectedKey: undefined,
        bandwidth: DEFAULT_BANDWIDTH,
        waiting: { perSource: 100, total: 100 },
      },
      clock,
      events: {
        waiting: say('waiting'),
        paired: say('paired'),
        joined: say('joined'),
        pairEnded: say('pair ended'),
        downgraded: say('downgraded'),
        turnedAway: (reason) => void heard.push(`${name} turned away: ${reason}`),
        brokerFailed: (error) => void heard.push(`${name} broker failed: ${error}`),
      },
      blocklist: new AddressList(),
      blacklist: new AddressList(),
      broker: sessions.broker(name, dial),
    })
    relays.set(name, relay)
  }
  const anyRelay = () => [...relays.values()][Math.floor(random() * relays.size)] as Relay
  const comes = (relay: Relay, request: { uuid: string; id?: string }) => {
    const half = new FakeHalf()
    relay.arrive(half)
    half.asks(request)
    return half
  }
  const pass = async (ms: number) => {
    for (let i = 0; i < ms; i++) {
      clock.pass(1)
      for (let turn = 0; turn < 8; turn++) await undefined
    }
  }
  return { clock, random, sessions, relays, heard, anyRelay, comes, pass }
}

describe('two halves that come at about the same time to any of three relays', () => {
  it.each([true, false])(
    `always meet, in ${SEEDS} orders of events, tickets needed: %s`,
    async (requiresTickets) => {
      for (let seed = 0; seed < SEEDS; seed++) {
        const { random, sessions, heard, anyRelay, comes, pass } = fleet(seed, { requiresTickets })
        const ticketFirst = random() < 0.5
        if (ticketFirst) sessions.book.issue('x', DEVICE)
        const b = comes(anyRelay(), { uuid: 'x' })
        if (random() < 0.5) await pass(Math.floor(random() * 60))
        const a = comes(anyRelay(), { uuid: 'x', id: DEVICE })
        await pass(Math.floor(random() * 60))
        if (!ticketFirst) sessions.book.issue('x', DEVICE)
        await pass(1_500)
        const say = `seed ${seed}: ${heard.join(', ')}; ${sessions.asked.join(', ')}`
        expect({ paired: heard.filter((event) => event.endsWith(' paired')).length, say }).toEqual({ paired: 1, say })
        b.says('from b')
        a.says('from a')
        expect({ a: a.sent, b: b.sent, say }).toEqual({ a: ['from b'], b: ['from a'], say })
      }
    },
    60_000,
  )

  it(`meet exactly once among halves that leave and come again, in ${SEEDS} orders of events`, async () => {
    for (let seed = 0; seed < SEEDS; seed++) {
      const { random, sessions, heard, anyRelay, comes, pass, relays } = fleet(seed)
      sessions.book.issue('x', DEVICE)
      const fickle = comes(anyRelay(), { uuid: 'x' })
      await pass(Math.floor(random() * 80))
      fickle.vanishes()
      await pass(Math.floor(random() * 80))
      // Its place is free again only when its relay has said so.
      const b = comes(anyRelay(), { uuid: 'x' })
      await pass(Math.floor(random() * 80))
      const a = comes(anyRelay(), { uuid: 'x', id: DEVICE })
      await pass(2_000)
      const say = `seed ${seed}: ${heard.join(', ')}; ${sessions.asked.join(', ')}`
      const paired = heard.filter((event) => event.endsWith(' paired')).length
      expect({ paired, say }).toEqual({ paired: 1, say })
      a.says('from a')
      expect({ sent: b.sent, say }).toEqual({ sent: ['from a'], say })
      comes(anyRelay(), { uuid: 'x' })
      await pass(100)
      expect({ last: heard.at(-1)?.endsWith('ticket_used'), say }).toEqual({ last: true, say })
      for (const relay of relays.values()) expect([relay.waitingCount, relay.unticketedCount]).toEqual([0, 0])
    }
  }, 60_000)
})
