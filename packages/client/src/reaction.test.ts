import { describe, expect, it } from '@jest/globals'
import {
  decodeRendezvous,
  encodeRendezvous,
  mangleAddress,
  type OutgoingRendezvousMessage,
  rendezvous,
} from '@tryst/protocol'
import { type DeviceFacts, decideReaction } from './reaction.ts'

const initiator = { ip: '203.0.113.7', port: 50_000 }
const handle = mangleAddress(initiator, 0x12345678)
const facts: DeviceFacts = {
  transport: 'tcp',
  natType: 'asymmetric',
  mayListen: true,
  reachesServerByIpv6: false,
  ownRelayServer: undefined,
  derivedRelayServer: 'id.example.com:21117',
  lastPush: undefined,
}

const decide = (push: OutgoingRendezvousMessage, changed: Partial<DeviceFacts> = {}, nowMs = 0) =>
  decideReaction(decodeRendezvous(encodeRendezvous(push)), { ...facts, ...changed }, nowMs)
const react = (push: OutgoingRendezvousMessage, changed?: Partial<DeviceFacts>) => decide(push, changed).reaction

const punchHole = { punchHole: { socketAddr: handle, relayServer: 'relay.example.com', natType: 1 } }
const fetchLocalAddr = { fetchLocalAddr: { socketAddr: handle, relayServer: 'relay.example.com' } }

describe('reaction of a device to a push', () => {
  it('punches towards the initiator and keeps the bytes of the handle', () => {
    const reaction = react(punchHole)
    expect(reaction).toMatchObject({ kind: 'punch', initiator, relayServer: 'relay.example.com' })
    expect('handle' in reaction && Buffer.from(reaction.handle).equals(handle)).toBe(true)
  })

  it.each<[string, OutgoingRendezvousMessage, Partial<DeviceFacts>]>([
    ['the initiator says SYMMETRIC', { punchHole: { socketAddr: handle, natType: rendezvous.NatType.SYMMETRIC } }, {}],
    ['the server forces the relay', { punchHole: { socketAddr: handle, forceRelay: true } }, {}],
    ['its own NAT is symmetric', punchHole, { natType: 'symmetric' }],
    ['it is in WebSocket mode', punchHole, { transport: 'websocket' }],
    ['it may not listen', punchHole, { mayListen: false }],
    ['it is asked for a local address and reaches the server over IPv6', fetchLocalAddr, { reachesServerByIpv6: true }],
    ['it is asked for a local address in WebSocket mode', fetchLocalAddr, { transport: 'websocket' }],
  ])('begins a relay session when %s', (_, push, changed) => {
    expect(react(push, changed).kind).toBe('beginRelay')
  })

  it('punches by UDP where the initiator names a port, even if it listens on no TCP port', () => {
    const push = { punchHole: { socketAddr: handle, relayServer: 'r', udpPort: 61_000 } }
    for (const changed of [{}, { mayListen: false }]) {
      const reaction = react(push, changed)
      expect(reaction).toMatchObject({ kind: 'punchByUdp', initiator: { ip: initiator.ip, port: 61_000 } })
      expect('handle' in reaction && Buffer.from(reaction.handle).equals(handle)).toBe(true)
    }
    expect(react(push, { natType: 'symmetric' }).kind).toBe('beginRelay')
    expect(react(push, { transport: 'websocket' }).kind).toBe('beginRelay')
    expect(react({ punchHole: { ...push.punchHole, forceRelay: true } }).kind).toBe('beginRelay')
  })

  it('waits for the initiator over IPv6 beside everything else, but for a session that is to be relayed', () => {
    const ipv6 = { ip: '2001:db8::7', port: 40_000 }
    const more = { socketAddr: handle, socketAddrV6: mangleAddress(ipv6, 0) }
    const open: [OutgoingRendezvousMessage, Partial<DeviceFacts>][] = [
      [{ punchHole: more }, {}],
      [{ punchHole: { ...more, udpPort: 1 } }, {}],
      [{ punchHole: more }, { natType: 'symmetric' }],
      [{ fetchLocalAddr: more }, {}],
      [{ fetchLocalAddr: more }, { reachesServerByIpv6: true }],
    ]
    for (const [push, changed] of open) expect(react(push, changed)).toMatchObject({ ipv6 })
    const closed: [OutgoingRendezvousMessage, Partial<DeviceFacts>][] = [
      [{ punchHole: { ...more, forceRelay: true } }, {}],
      [{ punchHole: more }, { transport: 'websocket' }],
      [{ punchHole: { socketAddr: handle, socketAddrV6: mangleAddress({ ...ipv6, port: 0 }, 0) } }, {}],
      [{ punchHole: { socketAddr: handle } }, {}],
    ]
    for (const [push, changed] of closed) expect(react(push, changed)).not.toHaveProperty('ipv6')
  })

  it('offers its local address to an initiator of its own network, whatever the NAT', () => {
    expect(react(fetchLocalAddr, { natType: 'symmetric' })).toEqual({
      kind: 'offerLocalAddress',
      initiator: expect.objectContaining(initiator),
      relayServer: 'relay.example.com',
    })
  })

  it('joins the initiator at the relay that it names, with or without a handshake', () => {
    const push = (secure: boolean) => ({
      requestRelay: { socketAddr: handle, uuid: 'u', relayServer: 'theirs:21117', secure },
    })
    expect(react(push(true), { ownRelayServer: 'ours:1' })).toMatchObject({
      kind: 'joinRelay',
      relayServer: 'theirs:21117',
      pairing: 'u',
      isSecure: true,
    })
    expect(react(push(false))).toMatchObject({ isSecure: false })
  })

  it('names its own relay before the one that the server proposes, and derives one when there is none', () => {
    expect(react(punchHole, { ownRelayServer: 'ours:1' })).toMatchObject({ relayServer: 'ours:1' })
    expect(react({ punchHole: { socketAddr: handle, natType: 1 } })).toMatchObject({
      relayServer: 'id.example.com:21117',
    })
  })

  it('ignores a repeat within 100 ms, however its handle is encoded, and nothing else', () => {
    const { seen } = decide(punchHole)
    const again = { punchHole: { socketAddr: mangleAddress(initiator, 99), natType: 1 } }
    const other = { punchHole: { socketAddr: mangleAddress({ ...initiator, port: 1 }, 99), natType: 1 } }
    expect(decide(again, { lastPush: seen }, 99).reaction).toEqual({ kind: 'ignore', reason: 'duplicate' })
    expect(decide(again, { lastPush: seen }, 100).reaction.kind).toBe('punch')
    expect(decide(other, { lastPush: seen }, 1).reaction.kind).toBe('punch')
  })

  it('leaves alone what is not a push', () => {
    expect(react({ configureUpdate: { serial: 4 } })).toEqual({ kind: 'ignore', reason: 'notAPush' })
  })
})
