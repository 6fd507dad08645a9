import { describe, expect, it } from '@jest/globals'
import { encodeFrame, encodeRendezvous } from '@tryst/protocol'
import { FakeHalf } from '../test/fake-half.ts'
import { fakeRelay } from '../test/fake-relay.ts'
import { DEFAULT_RELAY_SETTINGS, type Relay, type RelaySettings } from './relay.ts'
import type { RelayHalf } from './relay-half.ts'
import type { HalfPlace, Meeting, MeetingHalf, SessionBroker } from './session-broker.ts'

const DEVICE = '123456789'
const TICKETS = { kind: 'wait', device: DEVICE } as const
const B = { uuid: 'x' }
const A = { uuid: 'x', id: DEVICE }

/** Lets every promise that can go on do so. */
const settle = async () => {
  for (let i = 0; i < 20; i++) await undefined
}

/** A broker that answers when and what the test says. */
class FakeBroker implements SessionBroker {
  handOver?: NonNullable<SessionBroker['handOver']>
  readonly requiresTickets: boolean = true
  readonly questions: { readonly half: MeetingHalf; answer(meeting: Meeting): Promise<void>; fail(): Promise<void> }[] =
    []
  readonly calls: { readonly place: HalfPlace; answer(remote: FakeHalf | undefined): Promise<void> }[] = []
  readonly told: string[] = []

  meet(half: MeetingHalf): Promise<Meeting> {
    return new Promise((resolve, reject) => {
      this.questions.push({
        half,
        answer: (meeting) => {
          resolve(meeting)
          return settle()
        },
        fail: () => {
          reject(new Error('broken'))
          return settle()
        },
      })
    })
  }
  met(uuid: string): void {
    this.told.push(`met ${uuid}`)
  }
  leave(uuid: string, name: string): void {
    this.told.push(`leave ${uuid} ${name}`)
  }
  dial(node: string, _uuid: string, half: string): Promise<FakeHalf | undefined> {
    return new Promise((resolve) => {
      this.calls.push({
        place: { node, half },
        answer: (remote) => {
          resolve(remote)
          return settle()
        },
      })
    })
  }
  async answer(meeting: Meeting): Promise<void> {
    const question = this.questions.shift()
    if (!question) throw new Error('nothing was asked')
    await question.answer(meeting)
  }
  async answerCall(remote: FakeHalf | undefined): Promise<void> {
    const call = this.calls.shift()
    if (!call) throw new Error('nobody was called')
    await call.answer(remote)
  }
}

function brokered(settings: Partial<RelaySettings['brokered']> = {}, more: Partial<RelaySettings> = {}) {
  const broker = new FakeBroker()
  const all = { ...DEFAULT_RELAY_SETTINGS.brokered, ...settings }
  const fake = fakeRelay({ ...more, brokered: all }, broker)
  const comes = (request: { uuid: string; id?: string }, half = new FakeHalf()) => {
    fake.arrive(half)
    half.asks(request)
    return half
  }
  return { broker, comes, ...fake }
}

describe('halves that meet on one relay', () => {
  it('are paired at once when the first one waits, with one question', async () => {
    const { broker, comes, heard } = brokered()
    const b = comes(B)
    b.says('early')
    await broker.answer(TICKETS)
    const a = comes(A)
    expect(heard).toEqual(['waiting x', 'paired x raw'])
    expect(a.sent).toEqual(['early'])
    a.says('hello')
    expect(b.sent).toEqual(['hello'])
    expect([broker.questions.length, broker.told]).toEqual([0, ['met x']])
  })

  it('are paired when the second comes while the question of the first is open', async () => {
    const { broker, comes, heard, relay, clock } = brokered()
    const b = comes(B)
    const a = comes(A)
    b.says('from b')
    a.says('from a')
    expect(relay.unticketedCount).toBe(2)
    await broker.answer(TICKETS)
    expect(heard).toEqual(['paired x raw'])
    expect([a.sent, b.sent]).toEqual([['from b'], ['from a']])
    expect([broker.questions.length, broker.told, relay.unticketedCount]).toEqual([0, ['met x'], 0])
    clock.pass(20_000)
    expect(heard).toEqual(['paired x raw'])
  })

  it('are not three', async () => {
    const { broker, comes, heard } = brokered()
    comes(B)
    comes(A)
    comes(A)
    expect(heard).toEqual(['turned away: ticket_used'])
    await broker.answer(TICKETS)
    comes(A)
    await broker.answer({ kind: 'used' })
    expect(heard.slice(1)).toEqual(['paired x raw', 'turned away: ticket_used'])
  })

  it.each(['before', 'after'] as const)(
    'are not joined with one who names another device %s the answer',
    async (when) => {
      const { broker, comes, heard } = brokered()
      comes(B)
      if (when === 'after') await broker.answer(TICKETS)
      const wrong = comes({ uuid: 'x', id: '987654321' })
      if (when === 'before') await broker.answer(TICKETS)
      expect(wrong.ending).toBe('closed')
      comes(A)
      expect(heard.filter((event) => event !== 'waiting x')).toEqual(['turned away: wrong_device', 'paired x raw'])
    },
  )

  it('make the second the first one when that leaves, or is not let in', async () => {
    for (const how of ['leaves', 'is refused'] as const) {
      const { broker, comes, heard } = brokered()
      const wrong = comes({ uuid: 'x', id: '987654321' })
      comes(B)
      if (how === 'leaves') {
        wrong.vanishes()
        await broker.answer(TICKETS)
      } else await broker.answer({ kind: 'wrong-device' })
      await broker.answer(TICKETS)
      comes(A)
      expect(heard.slice(1)).toEqual(['waiting x', 'paired x raw'])
    }
  })
})

describe('a half without a ticket', () => {
  it('asks again, at growing intervals, until its ticket has come', async () => {
    const { broker, comes, clock, heard } = brokered()
    comes(B)
    const askedAt: number[] = []
    while (clock.now() < 5_000) {
      if (broker.questions.length > 0) {
        askedAt.push(clock.now())
        await broker.answer({ kind: 'no-ticket' })
      }
      clock.pass(50)
    }
    expect(askedAt).toEqual([0, 100, 300, 700, 1_500, 2_500, 3_500, 4_500])
    clock.pass(1_000)
    await broker.answer(TICKETS)
    expect(heard).toEqual(['waiting x'])
    comes(A)
    expect(heard.at(-1)).toBe('paired x raw')
  })

  it('asks again at once when its partner comes, who was sent by the ID server that issued the ticket', async () => {
    const { broker, comes, heard, clock } = brokered()
    comes(B)
    await broker.answer({ kind: 'no-ticket' })
    clock.pass(50)
    expect(broker.questions).toHaveLength(0)
    comes(A)
    expect(broker.questions).toHaveLength(1)
    await broker.answer(TICKETS)
    expect(heard).toEqual(['paired x raw'])
    clock.pass(1_000)
    expect(broker.questions).toHaveLength(0)
  })

  it('is turned away after 18 s, with who came after it', async () => {
    const { broker, comes, clock, heard, relay } = brokered()
    comes(B)
    await broker.answer({ kind: 'no-ticket' })
    clock.pass(1)
    comes(A)
    for (let i = 0; i < 180; i++) {
      if (broker.questions.length > 0) await broker.answer({ kind: 'no-ticket' })
      clock.pass(100)
    }
    expect(heard).toEqual(['turned away: no_ticket', 'turned away: no_ticket'])
    await broker.questions.shift()?.answer({ kind: 'no-ticket' })
    expect([relay.unticketedCount, clock.pendingTimers]).toEqual([0, 0])
    expect(relay.counters.turnedAway.no_ticket).toBe(2)
  })

  it('is read until 64 KiB are kept, and no further', () => {
    const { comes } = brokered()
    const b = comes(B)
    for (let i = 0; i < 64; i++) b.says(new Uint8Array(1024))
    expect(b.isReading).toBe(false)
  })

  it('is not one that newcomers cannot push out', async () => {
    const { broker, comes } = brokered()
    const b = comes(B)
    await broker.answer({ kind: 'no-ticket' })
    expect(b.isProven).toBe(false)
  })

  it('leaves its share to the next when that is used up, the oldest first', async () => {
    const { broker, comes, heard, relay } = brokered({ limits: { perSource: 2, total: 3 } })
    const first = comes({ uuid: '1' })
    await broker.answer({ kind: 'no-ticket' })
    comes({ uuid: '2' })
    await broker.answer({ kind: 'no-ticket' })
    comes({ uuid: '3' })
    expect([first.ending, heard]).toEqual(['closed', ['turned away: unticketed_source_full']])
    const elsewhere = (last: number) => new FakeHalf('tcp', { ip: `198.51.100.${last}`, port: 1 })
    comes({ uuid: '4' }, elsewhere(1))
    comes({ uuid: '5' }, elsewhere(2))
    expect(heard.at(-1)).toBe('turned away: unticketed_total_full')
    expect(relay.unticketedCount).toBe(3)
  })

  it('is refused where all others have a question open', () => {
    const { comes, heard } = brokered({ limits: { perSource: 1, total: 3 } })
    const first = comes({ uuid: '1' })
    const second = comes({ uuid: '2' })
    expect([first.ending, second.ending]).toEqual(['open', 'closed'])
    expect(heard).toEqual(['turned away: unticketed_source_full'])
  })

  it('is told apart from one whose session has two others by then', async () => {
    const { broker, comes, clock, heard } = brokered()
    comes(B)
    await broker.answer({ kind: 'busy' })
    clock.pass(100)
    expect(broker.questions.length).toBe(1)
    await broker.answer({ kind: 'busy' })
    clock.pass(18_000)
    expect(heard).toEqual(['turned away: ticket_used'])
  })

  it('has nothing to give back', async () => {
    const { broker, comes } = brokered()
    const b = comes(B)
    await broker.answer({ kind: 'no-ticket' })
    b.vanishes()
    expect(broker.told).toEqual([])
  })
})

describe('a half that leaves', () => {
  it('gives its place back when it waits', async () => {
    const { broker, comes } = brokered()
    const b = comes(B)
    await broker.answer(TICKETS)
    b.vanishes()
    expect(broker.told).toEqual(['leave x 1'])
  })

  it('gives its place back when its question is open: at once, and again when the answer has come', async () => {
    const { broker, comes, heard } = brokered()
    const b = comes(B)
    b.hangsUp()
    expect(broker.told).toEqual(['leave x 1'])
    await broker.answer(TICKETS)
    expect(broker.told).toEqual(['leave x 1', 'leave x 1'])
    expect(heard).toEqual(['turned away: left'])
  })

  it('gives the other back while it is on its way there', async () => {
    const { broker, comes } = brokered()
    const b = comes(B)
    await broker.answer({ kind: 'join', node: 'two', half: '7' })
    b.vanishes()
    const remote = new FakeHalf()
    await broker.answerCall(remote)
    expect(broker.told).toEqual(['leave x 1', 'leave x 1'])
    expect(remote.ending).toBe('destroyed')
  })

  it('is told to nobody when its time is over', async () => {
    const { broker, comes, clock, heard } = brokered()
    comes(B)
    await broker.answer(TICKETS)
    clock.pass(30_000)
    expect(heard.at(-1)).toBe('turned away: pair_timeout')
    expect(broker.told).toEqual(['leave x 1'])
  })
})

describe('a half whose partner waits on another relay', () => {
  it('dials, and is limited and counted here', async () => {
    const { broker, comes, heard, relay, clock } = brokered()
    const a = comes(A, new FakeHalf('websocket', { ip: '203.0.113.9', port: 1 }))
    a.says('early')
    await broker.answer({ kind: 'join', node: 'two', half: '7' })
    expect(broker.calls[0]?.place).toEqual({ node: 'two', half: '7' })
    const remote = new FakeHalf()
    await broker.answerCall(remote)
    expect(heard).toEqual(['paired x messages'])
    expect(remote.sent).toEqual(['[early]'])
    clock.pass(1_100)
    expect(relay.usage()[0]).toMatchObject({ remote: a.remote, totalBits: 40 })
    const { paired, dialled, joined, bytesRelayed } = relay.counters
    expect({ paired, dialled, joined, bytesRelayed }).toEqual({ paired: 1, dialled: 1, joined: 0, bytesRelayed: 5 })
    expect(broker.told).toEqual(['met x'])
    remote.vanishes()
    expect([heard.at(-1), a.ending]).toEqual(['pair ended: closed', 'closed'])
  })

  it('is given to that relay with all that was read where that is on this host', async () => {
    const { broker, comes, heard, relay, clock } = brokered()
    const given: { node: string; half: RelayHalf; stream: Uint8Array }[] = []
    broker.handOver = (node, half, stream) => {
      given.push({ node, half, stream: stream() })
      return true
    }
    const a = comes(A)
    a.says('early')
    await broker.answer({ kind: 'join', node: 'two', half: '7' })
    expect(heard).toEqual(['handed over x'])
    const request = encodeFrame(encodeRendezvous({ requestRelay: A }))
    expect(given).toEqual([{ node: 'two', half: a, stream: new Uint8Array([...request, ...Buffer.from('early')]) }])
    // Whoever has it now has its connection, too, and says when the two have met.
    expect([a.ending, a.isProven, broker.calls, broker.told]).toEqual(['open', true, [], []])
    const { arrived, paired, handedOver } = relay.counters
    expect({ arrived, paired, handedOver, unticketed: relay.unticketedCount }).toEqual({
      ...{ arrived: 1, paired: 0, handedOver: 1, unticketed: 0 },
    })
    // It may not have found its partner there.
    clock.pass(1_000)
    expect([broker.told, clock.pendingTimers]).toEqual([['leave x 1'], 0])
  })

  it('stays where another has come that may be the one after all', async () => {
    const { broker, comes, heard } = brokered()
    broker.handOver = () => true
    comes(A)
    comes(B)
    await broker.answer({ kind: 'join', node: 'two', half: '7' })
    await broker.answerCall(undefined)
    await broker.answer(TICKETS)
    expect(heard).toEqual(['paired x raw'])
  })

  it('is joined by a stream where it cannot be given away', async () => {
    const { broker, comes, heard } = brokered()
    broker.handOver = () => false
    const a = comes(A)
    a.says('early')
    await broker.answer({ kind: 'join', node: 'two', half: '7' })
    const remote = new FakeHalf()
    await broker.answerCall(remote)
    expect([heard, remote.sent]).toEqual([['paired x raw'], ['early']])
  })

  it('waits itself when the other has gone', async () => {
    const { broker, comes, heard } = brokered()
    comes(A)
    await broker.answer({ kind: 'join', node: 'two', half: '7' })
    await broker.answerCall(undefined)
    expect(broker.questions[0]?.half).toEqual({
      uuid: 'x',
      name: '1',
      device: DEVICE,
      gone: { node: 'two', half: '7' },
    })
    await broker.answer(TICKETS)
    comes(B)
    expect(heard).toEqual(['waiting x', 'paired x raw'])
  })

  it('does not go from one to the other for ever', async () => {
    const { broker, comes, heard } = brokered()
    comes(A)
    for (let i = 0; i < 4; i++) {
      await broker.answer({ kind: 'join', node: 'two', half: String(i) })
      await broker.answerCall(undefined)
    }
    expect(heard).toEqual(['turned away: partner_unreachable'])
    expect(broker.told).toEqual(['leave x 1'])
  })

  it('leaves nobody behind who came here meanwhile', async () => {
    const { broker, comes, heard } = brokered()
    comes(A)
    const third = comes(B)
    await broker.answer({ kind: 'join', node: 'two', half: '7' })
    await broker.answerCall(new FakeHalf())
    expect(third.ending).toBe('closed')
    expect(heard).toEqual(['turned away: ticket_used', 'paired x raw'])
  })
})

describe('a half that another relay dials', () => {
  const dialIn = (relay: Relay, name = '1', far: 'tcp' | 'websocket' = 'tcp') => {
    const remote = new FakeHalf()
    const isThere = relay.awaits('x', name)
    expect(relay.join('x', name, remote, far)).toBe(isThere)
    return isThere ? remote : undefined
  }

  it.each(['waits', 'has its question open'] as const)(
    'is joined when it %s, neither limited nor counted',
    async (how) => {
      const { broker, comes, heard, relay, clock } = brokered({}, { bandwidth: tiny })
      const b = comes(B)
      b.says('early')
      if (how === 'waits') await broker.answer(TICKETS)
      const remote = dialIn(relay)
      expect(heard.at(-1)).toBe('joined x raw')
      await broker.questions.shift()?.answer(TICKETS)
      expect(remote?.sent).toEqual(['early'])
      for (let i = 0; i < 100; i++) b.says(new Uint8Array(1024 * 1024))
      expect(b.isReading).toBe(true)
      clock.pass(1_100)
      expect([relay.usage(), relay.pairCount, relay.joinedCount]).toEqual([[], 0, 1])
      const { paired, joined, bytesRelayed, bytesJoined } = relay.counters
      expect({ paired, joined, bytesRelayed }).toEqual({ paired: 0, joined: 1, bytesRelayed: 0 })
      expect(bytesJoined).toBe(5 + 100 * 1024 * 1024)
      remote?.vanishes()
      expect([heard.at(-1), b.ending, relay.joinedCount]).toEqual(['pair ended: closed', 'closed', 0])
      expect(broker.told).toEqual([])
      clock.pass(1_000)
      expect(clock.pendingTimers).toBe(0)
    },
  )

  it.each([
    ['tcp', 33],
    ['websocket', 91],
  ] as const)(
    'ends by itself when nothing comes from either side, %s at the other end: after %i s',
    async (far, idleS) => {
      const { broker, comes, heard, relay, clock } = brokered()
      comes(B)
      await broker.answer(TICKETS)
      dialIn(relay, '1', far)
      // The other relay ends it after 31 s, and the stream with it, as long as it can.
      clock.pass((idleS - 1) * 1_000)
      expect(heard.at(-1)).toBe('joined x raw')
      clock.pass(2_000)
      expect([heard.at(-1), clock.pendingTimers]).toEqual(['pair ended: idle', 0])
    },
  )

  it('is nobody who has gone, met another, has no ticket, or is called otherwise', async () => {
    const { broker, comes, relay } = brokered()
    expect(dialIn(relay)).toBeUndefined()
    const b = comes(B)
    expect(dialIn(relay, '2')).toBeUndefined()
    await broker.answer({ kind: 'no-ticket' })
    expect(dialIn(relay)).toBeUndefined()
    b.vanishes()
    comes(B)
    await broker.answer(TICKETS)
    comes(A)
    expect(dialIn(relay, '2')).toBeUndefined()
  })

  it('refuses who came here meanwhile', () => {
    const { comes, relay, heard } = brokered()
    comes(B)
    const third = comes(A)
    expect(dialIn(relay)).toBeDefined()
    expect(third.ending).toBe('closed')
    expect(heard).toEqual(['turned away: ticket_used', 'joined x raw'])
  })

  it('counts for who waits until nobody is relayed, and is cut when the relay closes', async () => {
    const { broker, comes, relay } = brokered()
    const b = comes(B)
    await broker.answer(TICKETS)
    dialIn(relay)
    let isQuiet = false
    const quiet = relay.nobodyRelays().then(() => {
      isQuiet = true
    })
    await settle()
    expect(isQuiet).toBe(false)
    relay.closePairs()
    await quiet
    expect(b.ending).toBe('closed')
  })

  const tiny = {
    singleMegabits: 0.01,
    totalMegabits: 0.01,
    limitedMegabits: 0.01,
    downgradeThreshold: 0.01,
    downgradeStartSeconds: 1,
  }
})

describe('a broker that can ask nobody', () => {
  it('turns halves away, or lets them meet on this relay, as the operator chose', async () => {
    const away = { kind: 'unavailable' } as const
    for (const whenUnavailable of ['wait', 'turn-away'] as const) {
      const { broker, comes, heard } = brokered({ whenUnavailable })
      comes(B)
      await broker.answer(away)
      comes({ uuid: 'x', id: 'any' })
      if (whenUnavailable === 'turn-away') await broker.answer(away)
      const refused = 'turned away: broker_unavailable'
      expect(heard).toEqual(whenUnavailable === 'wait' ? ['waiting x', 'paired x raw'] : [refused, refused])
    }
  })

  it('is one that breaks', async () => {
    const { broker, comes, heard } = brokered()
    comes(B)
    await broker.questions.shift()?.fail()
    expect(heard).toEqual(['broker failed: Error: broken', 'turned away: broker_unavailable'])
  })
})

describe('a relay that closes', () => {
  it('waits for halves whose question is open, and turns them away in the end', async () => {
    const { broker, comes, relay, heard, clock } = brokered()
    comes(B)
    let isQuiet = false
    const quiet = relay.nobodyWaits().then(() => {
      isQuiet = true
    })
    await settle()
    expect(isQuiet).toBe(false)
    comes(A)
    relay.closeArrivals()
    await quiet
    expect(heard).toEqual(['turned away: draining', 'turned away: draining'])
    while (broker.questions.length > 0) await broker.answer(TICKETS)
    expect(clock.pendingTimers).toBe(0)
  })
})
