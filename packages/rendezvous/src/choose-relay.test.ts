import { describe, expect, it } from '@jest/globals'
import { hostOf, RelayChooser, withPort } from './choose-relay.ts'
import type { RelayDirectory } from './relay-directory.ts'

const announced = (...addresses: string[]): RelayDirectory => ({
  isFresh: true,
  live: () =>
    addresses.map((address) => ({
      ...{ address, name: '', region: '', isDraining: false },
      ...{ capacityBitsPerSecond: 1, loadBitsPerSecond: 0 },
    })),
})
const chooser = (configured: string[], { directory = announced(), fallback = '' } = {}) =>
  new RelayChooser(configured, { directory, fallback, defaultPort: 21117, rules: [], random: () => 0 })

describe('the relay that clients are offered', () => {
  it.each([
    ['relay.example', 'relay.example:21117'],
    ['relay.example:4000', 'relay.example:4000'],
    ['203.0.113.1', '203.0.113.1:21117'],
    ['2001:db8::1', '[2001:db8::1]:21117'],
    ['[2001:db8::1]:4000', '[2001:db8::1]:4000'],
  ])('%s is told with its port: %s', (relay, told) => {
    expect(withPort(relay, 21117)).toBe(told)
    expect(chooser([relay]).next('203.0.113.7')).toBe(told)
  })

  it.each([
    ['relay.example:21117', 'relay.example'],
    ['relay.example', 'relay.example'],
    ['[2001:db8::1]:21117', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
  ])('%s is on host %s', (relay, host) => expect(hostOf(relay)).toBe(host))

  it('comes from the operator, else from announcements, else from the fallback', () => {
    const directory = announced('announced:1')
    expect(chooser(['a'], { directory, fallback: 'f:1' }).next('203.0.113.7')).toBe('a:21117')
    expect(chooser([], { directory, fallback: 'f:1' }).next('203.0.113.7')).toBe('announced:1')
    expect(chooser([], { fallback: 'f:1' }).next('203.0.113.7')).toBe('f:1')
    expect(chooser([]).next('203.0.113.7')).toBe('')
  })

  it('takes turns among the live ones', () => {
    const relays = chooser(['a:1', 'b:2', 'c:3'])
    expect([
      relays.next('203.0.113.7'),
      relays.next('203.0.113.7'),
      relays.next('203.0.113.7'),
      relays.next('203.0.113.7'),
    ]).toEqual(['a:1', 'b:2', 'c:3', 'a:1'])
    relays.setLive(['c:3', 'a:1'])
    expect(new Set([relays.next('203.0.113.7'), relays.next('203.0.113.7')])).toEqual(new Set(['a:1', 'c:3']))
  })

  it('leaves out what may not be offered yet, until a probe finds it', () => {
    const relays = chooser(['a:1'], { fallback: 'f:1' })
    relays.configure(['a:1'], [])
    expect(relays.next('203.0.113.7')).toBe('f:1')
    relays.setLive(['a:1'])
    expect(relays.next('203.0.113.7')).toBe('a:1')
  })

  it('keeps the last live ones when nobody answers, and takes none that is not in the list', () => {
    const relays = chooser(['a:1', 'b:2'])
    relays.setLive(['b:2'])
    relays.setLive([])
    relays.setLive(['stranger:9'])
    expect(relays.live).toEqual(['b:2'])
  })
})
