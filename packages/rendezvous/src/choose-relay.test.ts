import { describe, expect, it } from '@jest/globals'
import { hostOf, RelayChooser, withPort } from './choose-relay.ts'
import type { AnnouncedRelay, RelayDirectory } from './relay-directory.ts'
import type { RelayRule } from './relay-rules.ts'

const HERE = '203.0.113.7'
const HERE_V6 = '2001:db8::7'

type Announced = Pick<AnnouncedRelay, 'address'> & Partial<AnnouncedRelay>

/** Relays that announced themselves; `isFresh` as long as a test does not say otherwise. */
const directoryOf = (...relays: Announced[]) => ({
  isFresh: true,
  live: () =>
    relays.map((relay) => ({
      ...{ name: '', region: '', isDraining: false, capacityBitsPerSecond: 1, loadBitsPerSecond: 0 },
      ...relay,
    })),
})

interface Surroundings {
  readonly directory?: RelayDirectory
  readonly fallback?: string
  readonly rules?: readonly RelayRule[]
  readonly random?: () => number
}

const chooser = (configured: string[], surroundings: Surroundings = {}) => {
  const defaults = { directory: directoryOf(), fallback: '', rules: [], random: () => 0 }
  return new RelayChooser(configured, { ...defaults, defaultPort: 21117, ...surroundings })
}

describe('the relay that clients are offered', () => {
  it.each([
    ['relay.example', 'relay.example:21117'],
    ['relay.example:4000', 'relay.example:4000'],
    ['203.0.113.1', '203.0.113.1:21117'],
    ['2001:db8::1', '[2001:db8::1]:21117'],
    ['[2001:db8::1]:4000', '[2001:db8::1]:4000'],
  ])('%s is told with its port: %s', (relay, told) => {
    expect(withPort(relay, 21117)).toBe(told)
    expect(chooser([relay]).next(HERE_V6)).toBe(told)
  })

  it.each([
    ['relay.example:21117', 'relay.example'],
    ['relay.example', 'relay.example'],
    ['[2001:db8::1]:21117', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
  ])('%s is on host %s', (relay, host) => expect(hostOf(relay)).toBe(host))

  it('comes from the operator, else from announcements, else from the fallback', () => {
    const directory = directoryOf({ address: 'announced:1' })
    expect(chooser(['a'], { directory, fallback: 'f:1' }).next(HERE)).toBe('a:21117')
    expect(chooser([], { directory, fallback: 'f:1' }).next(HERE)).toBe('announced:1')
    expect(chooser([], { fallback: 'f:1' }).next(HERE)).toBe('f:1')
    expect(chooser([]).next(HERE)).toBe('')
  })

  it('takes turns among the live ones', () => {
    const relays = chooser(['a:1', 'b:2', 'c:3'])
    expect([relays.next(HERE), relays.next(HERE), relays.next(HERE), relays.next(HERE)]).toEqual([
      'a:1',
      'b:2',
      'c:3',
      'a:1',
    ])
    relays.setLive(['c:3', 'a:1'])
    expect(new Set([relays.next(HERE), relays.next(HERE)])).toEqual(new Set(['a:1', 'c:3']))
  })

  it('leaves out what may not be offered yet, until a probe finds it', () => {
    const relays = chooser(['a:1'], { fallback: 'f:1' })
    relays.configure(['a:1'], [])
    expect(relays.next(HERE)).toBe('f:1')
    relays.setLive(['a:1'])
    expect(relays.next(HERE)).toBe('a:1')
  })

  it('keeps the last live ones when nobody answers, and takes none that is not in the list', () => {
    const relays = chooser(['a:1', 'b:2'])
    relays.setLive(['b:2'])
    relays.setLive([])
    relays.setLive(['stranger:9'])
    expect(relays.live).toEqual(['b:2'])
  })
})

describe('relays that are named by an address', () => {
  const relays = ['[2001:db8::1]:1', '203.0.113.1:2', 'name:3']
  const drawn = (chosen: RelayChooser, ip: string, otherIp?: string) =>
    new Set(Array.from({ length: 12 }, () => chosen.next(ip, otherIp)))
  /** The same relays from each of their sources. */
  const sources: [string, (relays: string[]) => RelayChooser][] = [
    ['the list of the operator', (relays) => chooser(relays)],
    [
      'announcements',
      (relays) => {
        let turn = 0
        const directory = directoryOf(...relays.map((address) => ({ address })))
        return chooser([], { directory, random: () => turn++ >> 1 })
      },
    ],
  ]

  it.each(sources)('from %s are not for clients of the other family', (_source, from) => {
    expect(drawn(from(relays), HERE)).toEqual(new Set(['203.0.113.1:2', 'name:3']))
    expect(drawn(from(relays), HERE_V6)).toEqual(new Set(['[2001:db8::1]:1', 'name:3']))
    for (const [ip, other] of [
      [HERE, HERE_V6],
      [HERE_V6, HERE],
    ] as const) {
      expect(drawn(from(relays), ip, other)).toEqual(new Set(['name:3']))
    }
  })

  it.each(sources)('from %s are offered to IPv6 clients by IPv4 where there is nothing better', (_source, from) => {
    expect(drawn(from(['203.0.113.1:2']), HERE_V6)).toEqual(new Set(['203.0.113.1:2']))
    expect(drawn(from(['203.0.113.1:2', '[2001:db8::1]:1']), HERE_V6, HERE)).toEqual(new Set(['203.0.113.1:2']))
    expect(drawn(from(['[2001:db8::1]:1']), HERE)).toEqual(new Set(['']))
    expect(drawn(from(['[2001:db8::1]:1']), HERE_V6, HERE)).toEqual(new Set(['']))
  })

  it('are no fallback for the other family, and no rule', () => {
    expect(chooser([], { fallback: '[2001:db8::1]:1' }).next(HERE)).toBe('')
    expect(chooser([], { fallback: '[2001:db8::1]:1' }).next(HERE_V6)).toBe('[2001:db8::1]:1')
    const rules = [{ cidr: '203.0.113.0/24', relay: '[2001:db8::1]:1' }]
    expect(chooser([], { rules, fallback: 'f:1' }).next(HERE)).toBe('f:1')
  })

  it('are exchanged where a client could not reach what the other one chose, if there is another', () => {
    expect(chooser(['name:3']).translate('[2001:db8::1]:1', HERE)).toBe('name:3')
    expect(chooser(['name:3']).translate('2001:db8::1', HERE)).toBe('name:3')
    expect(chooser(['name:3']).translate('[2001:db8::1]:1', HERE_V6)).toBe('[2001:db8::1]:1')
    expect(chooser(['name:3']).translate('203.0.113.1:2', HERE_V6)).toBe('203.0.113.1:2')
    const url = 'wss://relay.example.com:8443/ws/relay'
    expect(chooser(['name:3']).translate(url, HERE)).toBe(url)
    expect(chooser([]).translate('[2001:db8::1]:1', HERE)).toBe('[2001:db8::1]:1')
  })
})

describe('rules by the address of the client', () => {
  const rules = [
    { cidr: '192.168.1.0/24', relay: '192.168.1.5' },
    { cidr: '192.168.0.0/16', relay: 'branch.example:4000' },
    { cidr: '2001:db8::/32', relay: '[2001:db8::5]:4000' },
  ]
  const directory = directoryOf({ address: 'announced:1' })

  it.each([
    ['192.168.1.77', '192.168.1.5:21117'],
    ['192.168.2.77', 'branch.example:4000'],
    ['2001:db8::77', '[2001:db8::5]:4000'],
    ['203.0.113.7', 'announced:1'],
    ['not an address', 'announced:1'],
  ])('give %s the relay %s', (ip, relay) => {
    expect(chooser([], { rules, directory }).next(ip)).toBe(relay)
  })

  it('come after the list of the operator', () => {
    const relays = chooser(['a:1'], { rules })
    expect(relays.next('192.168.1.77')).toBe('a:1')
    expect(relays.translate('b:2', '192.168.1.77')).toBe('b:2')
  })

  it.each([
    ['is exchanged for that of a client with a rule', 'announced:1', '192.168.1.77', '192.168.1.5:21117'],
    ['of a rule is exchanged for a client that may not reach it', '192.168.1.5:21117', HERE, 'announced:1'],
    ['that any client can reach stays', 'own.example:1', HERE, 'own.example:1'],
    ['that is not named stays so', '', '192.168.1.77', ''],
  ])('a relay that the other side named %s', (_, named, ip, told) => {
    expect(chooser([], { rules, directory }).translate(named, ip)).toBe(told)
  })
})

describe('announced relays', () => {
  const capacityBitsPerSecond = 100
  const idle = { address: 'idle:1', capacityBitsPerSecond }
  const busy = { address: 'busy:1', capacityBitsPerSecond, loadBitsPerSecond: 60 }
  const full = { address: 'full:1', capacityBitsPerSecond, loadBitsPerSecond: 100 }

  /** How often each is offered, for every pair of draws. */
  function shares(directory: RelayDirectory) {
    const draws = [0, 1, 2].flatMap((first) => [0, 1].map((second) => [first, second]))
    const offered = draws.map((pair) => {
      const left = [...pair]
      return chooser([], { directory, random: () => left.shift() ?? 0 }).next(HERE)
    })
    return Object.fromEntries([...Map.groupBy(offered, (relay) => relay)].map(([relay, all]) => [relay, all.length]))
  }

  it('are offered by what they have to spare, of two drawn at random', () => {
    expect(shares(directoryOf(full, idle, busy))).toEqual({ 'idle:1': 4, 'busy:1': 2 })
    expect(shares(directoryOf(idle, full))).toEqual({ 'idle:1': 6 })
  })

  it('are not offered while they drain', () => {
    expect(shares(directoryOf({ ...idle, isDraining: true }, busy))).toEqual({ 'busy:1': 6 })
    const draining = directoryOf({ ...idle, isDraining: true })
    expect(chooser([], { directory: draining, fallback: 'f:1' }).next(HERE)).toBe('f:1')
  })

  it('stay on offer while nobody can say which ones live, but for those that a probe does not find', () => {
    const directory = directoryOf(idle, busy)
    const relays = chooser([], { directory })
    expect(relays.unconfirmed).toEqual([])
    directory.isFresh = false
    expect(relays.next(HERE)).toBe('idle:1')
    expect(relays.unconfirmed).toEqual(['idle:1', 'busy:1'])
    relays.setReachable(['busy:1'])
    expect(relays.next(HERE)).toBe('busy:1')
    relays.setReachable([])
    expect(relays.next(HERE)).toBe('idle:1')
    relays.setReachable(['busy:1'])
    directory.isFresh = true
    expect(relays.next(HERE)).toBe('idle:1')
  })

  it('need no probe where the operator has a list', () => {
    const directory = { ...directoryOf(idle), isFresh: false }
    expect(chooser(['a:1'], { directory }).unconfirmed).toEqual([])
  })
})
