import { describe, expect, it } from '@jest/globals'
import { rendezvous } from '@tryst/protocol'
import { lanMatcher } from './lan.ts'
import { decidePunchHole, type PunchFacts } from './punch-hole.ts'

const { ASYMMETRIC, SYMMETRIC } = rendezvous.NatType

const facts = (more: Partial<PunchFacts> = {}): PunchFacts => ({
  initiator: { ip: '203.0.113.7', transport: 'tcp', isLan: false },
  device: { ip: '203.0.113.9', isWebSocket: false, isLan: false },
  natType: ASYMMETRIC,
  forceRelay: false,
  alwaysUseRelay: false,
  relay: 'public:21117',
  lanRelay: '10.0.0.1:21117',
  ...more,
})
const lanDevice = { ip: '10.0.0.9', isWebSocket: false, isLan: true }
const lanInitiator = { ip: '10.0.0.7', transport: 'tcp' as const, isLan: true }

describe('the punch-hole decision', () => {
  it('asks a device on a WebSocket for no local address', () => {
    const device = { ip: '203.0.113.7', isWebSocket: true, isLan: false }
    expect(decidePunchHole(facts({ device })).ask).toBe('punch')
  })

  it('lets peers in different networks punch, with the true port', () => {
    expect(decidePunchHole(facts())).toEqual({
      ask: 'punch',
      natType: ASYMMETRIC,
      forceRelay: false,
      relay: 'public:21117',
      needsTruePort: true,
    })
  })

  it('brings a relay to peers of whom one is seen at a private address', () => {
    const relayed = { ask: 'punch', natType: SYMMETRIC, forceRelay: false, relay: 'public:21117', needsTruePort: false }
    const device = { ip: '192.168.1.9', isWebSocket: false, isLan: false }
    expect(decidePunchHole(facts({ device }))).toEqual(relayed)
    const initiator = { ip: '10.0.0.7', transport: 'tcp' as const, isLan: false }
    expect(decidePunchHole(facts({ initiator }))).toEqual(relayed)
    // In two private networks that this server is in they may well reach each other.
    expect(decidePunchHole(facts({ initiator, device }))).toMatchObject({ natType: ASYMMETRIC })
  })

  it('hides the port where the device will not punch', () => {
    expect(decidePunchHole(facts({ natType: SYMMETRIC }))).toMatchObject({ ask: 'punch', needsTruePort: false })
  })

  it('sends peers behind one address to their network, whatever else holds', () => {
    const device = { ip: '203.0.113.7', isWebSocket: false, isLan: false }
    for (const more of [{}, { natType: SYMMETRIC }, { alwaysUseRelay: true }]) {
      expect(decidePunchHole(facts({ device, ...more }))).toMatchObject({ ask: 'local-address', needsTruePort: false })
    }
  })

  it('never sends a WebSocket controller there', () => {
    const initiator = { ip: '203.0.113.9', transport: 'websocket' as const, isLan: false }
    expect(decidePunchHole(facts({ initiator }))).toMatchObject({ ask: 'punch' })
  })

  it('makes everybody use the relay when told so', () => {
    expect(decidePunchHole(facts({ alwaysUseRelay: true }))).toMatchObject({ ask: 'punch', natType: SYMMETRIC })
  })

  it('takes a controller at its word that wants a relay, also in the same network', () => {
    const relayed = { ask: 'punch', natType: SYMMETRIC, forceRelay: true, needsTruePort: false }
    expect(decidePunchHole(facts({ forceRelay: true }))).toMatchObject(relayed)
    const device = { ip: '203.0.113.7', isWebSocket: false, isLan: false }
    expect(decidePunchHole(facts({ forceRelay: true, device }))).toMatchObject(relayed)
  })

  it('makes no holes between address families', () => {
    const device = { ip: '2001:db8::9', isWebSocket: false, isLan: false }
    const relayed = { ask: 'punch', natType: SYMMETRIC, forceRelay: false, needsTruePort: false }
    expect(decidePunchHole(facts({ device }))).toMatchObject(relayed)
    const initiator = { ip: '2001:db8::7', transport: 'tcp' as const, isLan: false }
    expect(decidePunchHole(facts({ initiator }))).toMatchObject(relayed)
    expect(decidePunchHole(facts({ initiator, device }))).toMatchObject({ ask: 'punch', natType: ASYMMETRIC })
  })

  it('brings both sides of a LAN border together through the relay that the device can reach', () => {
    expect(decidePunchHole(facts({ device: lanDevice }))).toMatchObject({ natType: SYMMETRIC, relay: '10.0.0.1:21117' })
    expect(decidePunchHole(facts({ initiator: lanInitiator }))).toMatchObject({
      natType: SYMMETRIC,
      relay: 'public:21117',
    })
  })

  it('takes two addresses inside the LAN for one network', () => {
    expect(decidePunchHole(facts({ initiator: lanInitiator, device: lanDevice }))).toMatchObject({
      ask: 'local-address',
      natType: ASYMMETRIC,
    })
  })
})

describe('the LAN', () => {
  it('holds the IPv4 addresses of its network, and no others', () => {
    const isLan = lanMatcher('10.0.0.0/24')
    expect(['10.0.0.1', '10.0.0.255'].every(isLan)).toBe(true)
    expect(['10.0.1.1', '2001:db8::1', '', 'x'].some(isLan)).toBe(false)
    expect(lanMatcher(undefined)('10.0.0.1')).toBe(false)
  })
})
