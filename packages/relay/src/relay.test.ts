import { describe, expect, it } from '@jest/globals'
import { encodeFrame, encodeRendezvous } from '@tryst/protocol'
import { FakeHalf } from '../test/fake-half.ts'
import { fakeRelay } from '../test/fake-relay.ts'

const webSocket = () => new FakeHalf('websocket')

describe('the first message', () => {
  it('has to come within 30 s', () => {
    const { arrive, clock, heard } = fakeRelay()
    const half = arrive()
    clock.pass(29_999)
    expect(half.ending).toBe('open')
    clock.pass(1)
    expect(half.ending).toBe('closed')
    expect(heard).toEqual(['turned away: first_message_timeout'])
  })

  it('has less time when the upgrade took some', () => {
    const { relay, clock } = fakeRelay()
    const half = webSocket()
    relay.arrive(half, 25_000)
    clock.pass(5_000)
    expect(half.ending).toBe('closed')
  })

  it.each([
    ['the right key', 'secret', 'open'],
    ['a wrong key of the same length', 'Secret', 'closed'],
    ['the beginning of the key', 'secre', 'closed'],
    ['a longer key', 'secretsecret', 'closed'],
    ['no key', '', 'closed'],
  ] as const)('with %s leaves the connection %s', (_what, licenceKey, _outcome) => {
    const { arrive } = fakeRelay({ expectedKey: 'secret' })
    const half = arrive()
    half.asks({ uuid: 'x', licenceKey })
    expect(half.ending).toBe(licenceKey === 'secret' ? 'open' : 'closed')
    expect(half.isProven).toBe(licenceKey === 'secret')
    expect(half.sent).toEqual([])
  })

  it('is found at any cut of the stream, and what lies behind it is kept', () => {
    const stream = Buffer.concat([
      encodeFrame(encodeRendezvous({ requestRelay: { uuid: 'pair' } })),
      Buffer.from('rest'),
    ])
    for (let cut = 0; cut <= stream.length; cut++) {
      const { arrive } = fakeRelay()
      const first = arrive()
      if (cut > 0) first.says(stream.subarray(0, cut))
      if (cut < stream.length) first.says(stream.subarray(cut))
      const second = arrive()
      second.asks({ uuid: 'pair' })
      expect(second.sent.join('')).toBe('rest')
    }
  })

  it('leaves what came behind it as it was when the buffer that it came in is used again', () => {
    const { arrive } = fakeRelay()
    const first = arrive()
    first.asks({ uuid: 'pair' })
    const buffer = Buffer.from('sent ahead')
    first.says(buffer)
    buffer.fill('x')
    const second = arrive()
    second.asks({ uuid: 'pair' })
    expect(second.sent.join('')).toBe('sent ahead')
  })

  it('leaves no timer behind when it is refused', () => {
    const { arrive, clock } = fakeRelay()
    arrive().says(encodeFrame(Buffer.from('ffffff', 'hex')))
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('a half that waits', () => {
  it('is turned away after 30 s', () => {
    const { arrive, clock, heard } = fakeRelay()
    const half = arrive()
    clock.pass(20_000)
    half.asks({ uuid: 'x' })
    clock.pass(29_999)
    expect(half.ending).toBe('open')
    clock.pass(1)
    expect(half.ending).toBe('closed')
    expect(heard).toEqual(['waiting x', 'turned away: pair_timeout'])
  })

  it('does not lose its place to the timer of one that waited there before', () => {
    const { arrive, clock } = fakeRelay()
    arrive().asks({ uuid: 'x' })
    clock.pass(2_000)
    arrive().asks({ uuid: 'x' })
    const third = arrive()
    third.asks({ uuid: 'x' })
    clock.pass(28_500)
    expect(third.ending).toBe('open')
    clock.pass(1_500)
    expect(third.ending).toBe('closed')
  })

  it.each(['hangsUp', 'vanishes'] as const)('frees its uuid at once when it %s', (how) => {
    const { arrive, relay, heard } = fakeRelay()
    const gone = arrive()
    gone.asks({ uuid: 'x' })
    gone[how]()
    expect(relay.waitingCount).toBe(0)
    arrive().asks({ uuid: 'x' })
    expect(heard).toEqual(['waiting x', 'turned away: left', 'waiting x'])
  })

  it('is read until 64 KiB are kept for its partner, who gets them all in order', () => {
    const { arrive } = fakeRelay()
    const first = arrive()
    first.asks({ uuid: 'x' })
    for (let i = 0; i < 64; i++) first.says(new Uint8Array(1024).fill(32 + i))
    expect(first.isReading).toBe(false)
    const second = arrive()
    second.asks({ uuid: 'x' })
    expect(second.sentBytes).toBe(64 * 1024)
    expect(second.sent.map((text) => text.charCodeAt(0))).toEqual(Array.from({ length: 64 }, (_, i) => 32 + i))
    expect(first.isReading).toBe(true)
  })

  it('is not read further when its partner does not take what was kept', () => {
    const { arrive } = fakeRelay()
    const first = arrive()
    first.asks({ uuid: 'x' })
    first.says(new Uint8Array(64 * 1024))
    const second = arrive()
    second.isStuck = true
    second.asks({ uuid: 'x' })
    expect(first.isReading).toBe(false)
    second.takes(64 * 1024)
    expect(first.isReading).toBe(true)
  })

  it('says that nobody waits any more', async () => {
    const { arrive, relay } = fakeRelay()
    const half = arrive()
    half.asks({ uuid: 'x' })
    const nobodyWaits = relay.nobodyWaits()
    half.vanishes()
    await nobodyWaits
  })

  it('is turned away when the relay closes, as is everybody who comes then', () => {
    const { arrive, relay, heard } = fakeRelay()
    arrive().asks({ uuid: 'x' })
    const silent = arrive()
    relay.closeArrivals()
    const late = arrive()
    expect([silent.ending, late.ending]).toEqual(['closed', 'closed'])
    expect(heard.filter((event) => event === 'turned away: draining').length).toBe(3)
  })
})

describe('a pair', () => {
  it('passes bytes between two TCP halves', () => {
    const { pair } = fakeRelay()
    const [b, a] = pair()
    b.says('hello')
    a.says('you')
    expect([a.sent, b.sent]).toEqual([['hello'], ['you']])
  })

  it('passes whole messages where a WebSocket is in it, and leaves out empty ones', () => {
    const { pair } = fakeRelay()
    const [b, a] = pair(new FakeHalf('tcp'), webSocket())
    b.says(Buffer.from('010002000017000000', 'hex')) // long headers of empty frames, one cut frame of five
    b.says(Buffer.concat([Buffer.from('hello'), encodeFrame(Buffer.from('you'))]))
    a.says('')
    a.says('fine')
    expect([a.sent, b.sent]).toEqual([['[hello]', '[you]'], ['[fine]']])
  })

  it('ends at the header of a frame above the limit', () => {
    const { pair, heard } = fakeRelay({ maxMessageBytes: 1000 })
    const [b, a] = pair(new FakeHalf('tcp'), webSocket())
    b.says(Buffer.from('a50f', 'hex'))
    expect(heard.at(-1)).toBe('pair ended: malformed_frame')
    expect([a.ending, b.ending]).toEqual(['closed', 'closed'])
  })

  it('stops reading from one half while the other does not take what it sent, and only there', () => {
    const { pair } = fakeRelay()
    const [b, a] = pair()
    a.isStuck = true
    b.says('much')
    expect([b.isReading, a.isReading]).toEqual([false, true])
    a.says('still')
    expect(b.sent).toEqual(['still'])
    a.takes(2)
    expect(b.isReading).toBe(false)
    a.takes(2)
    expect(b.isReading).toBe(true)
  })

  it('ends when a receiver takes nothing for 60 s', () => {
    const { pair, clock, heard } = fakeRelay()
    const [b, a] = pair()
    a.isStuck = true
    b.says('much')
    clock.pass(50_000)
    a.takes(1)
    clock.pass(59_000)
    expect(heard.at(-1)).toBe('paired pair raw')
    clock.pass(3_000)
    expect(heard.at(-1)).toBe('pair ended: write_blocked')
    expect([a.ending, b.ending]).toEqual(['destroyed', 'closed'])
    expect(clock.pendingTimers).toBe(0)
  })

  it('ends when neither half says anything for more than 30 s', () => {
    const { pair, clock, heard } = fakeRelay()
    const [b, a] = pair()
    clock.pass(25_000)
    a.says('x')
    clock.pass(25_000)
    b.pings()
    clock.pass(30_900)
    expect(heard.at(-1)).toBe('paired pair raw')
    clock.pass(3_100)
    expect(heard.at(-1)).toBe('pair ended: idle')
    expect([a.ending, b.ending]).toEqual(['closed', 'closed'])
    expect(clock.pendingTimers).toBe(0)
  })

  it('ends when one half ends, after the last words of the other', () => {
    const { pair, clock, heard } = fakeRelay()
    const [b, a] = pair()
    a.hangsUp()
    expect(b.ending).toBe('ended')
    clock.pass(400)
    b.says('last ')
    clock.pass(400)
    b.says('words')
    expect(a.sent).toEqual(['last ', 'words'])
    clock.pass(500)
    expect(heard.at(-1)).toBe('pair ended: closed')
    expect(a.ending).toBe('closed')
  })

  it('ends at once when both halves have ended, or one has vanished', () => {
    for (const how of ['hangsUp', 'vanishes'] as const) {
      const { pair, heard } = fakeRelay()
      const [b, a] = pair()
      a.hangsUp()
      b[how]()
      expect(heard.at(-1)).toBe('pair ended: closed')
    }
  })

  it('waits with its end for a slow receiver of last words', () => {
    const { pair, clock, heard } = fakeRelay()
    const [b, a] = pair()
    a.isStuck = true
    b.says('last words')
    a.hangsUp()
    clock.pass(20_000)
    expect(heard.at(-1)).toBe('paired pair raw')
    a.takes(10)
    clock.pass(1_000)
    expect(heard.at(-1)).toBe('pair ended: closed')
  })

  it('does not listen for ever to a half that goes on after the other has ended', () => {
    const { pair, clock, heard } = fakeRelay()
    const [b, a] = pair()
    a.hangsUp()
    for (let i = 0; i < 110; i++) {
      if (b.ending === 'ended') b.says('more')
      clock.pass(100)
    }
    expect(heard.at(-1)).toBe('pair ended: closed')
  })

  it('ends at once when a WebSocket ends: it can not be written to either', () => {
    const { pair, heard } = fakeRelay()
    const [, a] = pair(new FakeHalf('tcp'), webSocket())
    a.hangsUp()
    expect(heard.at(-1)).toBe('pair ended: closed')
  })

  it('ends soon after either address is blocked, also as part of a range', () => {
    for (const entry of ['203.0.113.7', '::ffff:203.0.113.9', '203.0.113.0/28']) {
      const { pair, clock, heard, blocklist } = fakeRelay()
      pair()
      clock.pass(5_000)
      blocklist.add(entry)
      clock.pass(2_000)
      expect(heard.at(-1)).toBe('pair ended: blocked_address')
    }
  })

  it('tells the mode and who may be pushed out', () => {
    const { pair, heard } = fakeRelay()
    const [b, a] = pair(webSocket(), webSocket())
    expect(heard).toEqual(['waiting pair', 'paired pair messages'])
    expect([b.isProven, a.isProven]).toEqual([true, true])
  })
})
