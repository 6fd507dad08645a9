import { AddressList } from '../src/address-list.ts'
import { DEFAULT_BANDWIDTH } from '../src/bandwidth.ts'
import { DEFAULT_RELAY_SETTINGS, Relay, type RelaySettings } from '../src/relay.ts'
import type { SessionBroker } from '../src/session-broker.ts'
import { FakeClock } from './fake-clock.ts'
import { FakeHalf } from './fake-half.ts'

/** A relay whose time and network a test plays; `heard` are the events in short. */
export function fakeRelay(settings: Partial<RelaySettings> = {}, broker?: SessionBroker) {
  const clock = new FakeClock()
  const heard: string[] = []
  const lists = { blocklist: new AddressList(), blacklist: new AddressList() }
  const relay = new Relay({
    settings: {
      ...DEFAULT_RELAY_SETTINGS,
      expectedKey: undefined,
      bandwidth: DEFAULT_BANDWIDTH,
      waiting: { perSource: 100, total: 100 },
      ...settings,
    },
    clock,
    events: {
      waiting: (uuid) => heard.push(`waiting ${uuid}`),
      joined: (uuid, _local, mode) => heard.push(`joined ${uuid} ${mode}`),
      handedOver: (uuid) => heard.push(`handed over ${uuid}`),
      brokerFailed: (error) => heard.push(`broker failed: ${error}`),
      paired: (uuid, _second, mode) => heard.push(`paired ${uuid} ${mode}`),
      turnedAway: (reason) => heard.push(`turned away: ${reason}`),
      pairEnded: (reason) => heard.push(`pair ended: ${reason}`),
      downgraded: (_second, threshold) => heard.push(`downgraded ${threshold}`),
    },
    broker,
    ...lists,
  })
  const arrive = (half = new FakeHalf()) => {
    relay.arrive(half)
    return half
  }
  const pair = (first = new FakeHalf(), second = new FakeHalf('tcp', { ip: '203.0.113.9', port: 50_001 })) => {
    arrive(first).asks({ uuid: 'pair' })
    arrive(second).asks({ uuid: 'pair', id: '123456789' })
    return [first, second] as const
  }
  return { clock, heard, relay, arrive, pair, ...lists }
}
