import { describe, expect, it } from '@jest/globals'
import { AddressList } from '../src/address-list.ts'
import { DEFAULT_BANDWIDTH } from '../src/bandwidth.ts'
import { type Dial, type HandOver, SharedSessions, seeded } from '../src/contract/shared-sessions.ts'
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

/** Goes from relay to relay: what is said to its heir, and by it, counts as its own. */
class GivenHalf extends FakeHalf {
  #heir: FakeHalf | undefined
  #said: Uint8Array[] = []

  giveTo(heir: FakeHalf): void {
    this.#heir = heir
    for (const bytes of this.#said) heir.says(bytes)
  }
  override says(bytes: Uint8Array | string): void {
    if (this.#heir) this.#heir.says(bytes)
    else if (this.ending === 'destroyed') this.#said.push(Buffer.from(bytes as string))
    else super.says(bytes)
  }
  override vanishes(): void {
    if (this.#heir) this.#heir.vanishes()
    else super.vanishes()
  }
  get heard(): readonly string[] {
    return this.#heir?.sent ?? this.sent
  }
}

/** Relays with one memory; every step takes a time drawn from the seed, so that each seed is another order of things. */
function fleet(seed: number, { requiresTickets = true, siblings = [] as readonly string[] } = {}) {
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
  const given = new Set<FakeHalf>()
  const handOver = (from: string): HandOver | undefined =>
    siblings.includes(from)
      ? (to, half, stream) => {
          const relay = relays.get(to)
          if (!relay || !siblings.includes(to) || !(half instanceof GivenHalf) || given.has(half)) return false
          const bytes = stream()
          half.destroy()
          void delay().then(() => {
            const heir = new FakeHalf()
            given.add(heir)
            relay.arrive(heir, 0, 'sibling')
            heir.says(bytes)
            half.giveTo(heir)
          })
          return true
        }
      : undefined
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
        handedOver: () => {},
        brokerFailed: (error) => void heard.push(`${name} broker failed: ${error}`),
      },
      blocklist: new AddressList(),
      blacklist: new AddressList(),
      broker: sessions.broker(name, dial, handOver(name)),
    })
    relays.set(name, relay)
  }
  const anyRelay = () => [...relays.values()][Math.floor(random() * relays.size)] as Relay
  const comes = (relay: Relay, request: { uuid: string; id?: string }) => {
    const half = new GivenHalf()
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
  it.each([
    [true, []],
    [false, []],
    [true, ['one', 'two']],
    [true, ['one', 'two', 'three']],
    [false, ['one', 'two', 'three']],
  ])(
    `always meet, in ${SEEDS} orders of events, tickets needed: %s, on one host: %j`,
    async (requiresTickets, siblings) => {
      for (let seed = 0; seed < SEEDS; seed++) {
        const { random, sessions, heard, anyRelay, comes, pass, relays } = fleet(seed, { requiresTickets, siblings })
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
        expect({ a: a.heard, b: b.heard, say }).toEqual({ a: ['from b'], b: ['from a'], say })
        const total = (name: 'joined' | 'handedOver' | 'takenOver') =>
          [...relays.values()].reduce((sum, { counters }) => sum + counters[name], 0)
        expect(total('takenOver')).toBe(total('handedOver'))
        if (siblings.length === relays.size) expect({ joined: total('joined'), say }).toEqual({ joined: 0, say })
      }
    },
    60_000,
  )

  it.each([[[]], [['one', 'two', 'three']]])(
    `meet exactly once among halves that leave and come again, in ${SEEDS} orders of events, on one host: %j`,
    async (siblings: readonly string[]) => {
      for (let seed = 0; seed < SEEDS; seed++) {
        const { random, sessions, heard, anyRelay, comes, pass, relays } = fleet(seed, { siblings })
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
        expect({ sent: b.heard, say }).toEqual({ sent: ['from a'], say })
        comes(anyRelay(), { uuid: 'x' })
        await pass(100)
        expect({ last: heard.at(-1)?.endsWith('ticket_used'), say }).toEqual({ last: true, say })
        for (const relay of relays.values()) expect([relay.waitingCount, relay.unticketedCount]).toEqual([0, 0])
      }
    },
    60_000,
  )
})
