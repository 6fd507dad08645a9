import { describe, expect, it } from '@jest/globals'
import { mangleAddress, rendezvous } from '@tryst/protocol'
import { TestBench, TestConnection } from './test-bench.ts'

const ID = '123456789'
const INSIDE = '192.168.1.5:21117'
const OUTSIDE = 'relay.example:21117'
const LAN_DEVICE = '192.168.1.9'
const WAN_DEVICE = '203.0.113.9'
const LAN_CONTROLLER = '192.168.1.7'
const WAN_CONTROLLER = '203.0.113.7'

/** One relay with two addresses: one for those inside, one for everybody else. */
async function benchWithRules(device: string) {
  const relayRules = [{ cidr: '192.168.0.0/16', relay: INSIDE }]
  const bench = new TestBench({ relayServers: [], relayRules, fallbackRelay: OUTSIDE })
  await bench.register(ID, device, { port: 7000 })
  bench.sent.length = 0
  return bench
}

const punch = {
  punchHoleRequest: { id: ID, natType: rendezvous.NatType.SYMMETRIC, licenceKey: 'KEY', version: '1.4.9' },
}

describe('with rules for relays', () => {
  it.each([
    ['inside', LAN_DEVICE, 'outside', WAN_CONTROLLER, INSIDE, OUTSIDE],
    ['outside', WAN_DEVICE, 'inside', LAN_CONTROLLER, OUTSIDE, INSIDE],
    ['outside', WAN_DEVICE, 'outside', WAN_CONTROLLER, OUTSIDE, OUTSIDE],
  ])('a device %s (%s) and a controller %s (%s) each get an address that they can reach', async (...row) => {
    const [, device, , controller, toDevice, toController] = row
    const bench = await benchWithRules(device)
    const a = new TestConnection({ ip: controller, port: 50_000 })
    await bench.message(a, punch)
    const { socketAddr, relayServer } = bench.sent[0]?.message.punchHole ?? {}
    expect(relayServer).toBe(toDevice)
    const answer = { socketAddr: socketAddr ?? new Uint8Array(), relayServer: toDevice, id: ID, version: '1.4.9' }
    const fromDevice = () => new TestConnection({ ip: device, port: 6000 })
    await bench.message(fromDevice(), { relayResponse: { ...answer, uuid: 'u' } })
    await bench.message(fromDevice(), { punchHoleSent: answer })
    expect(a.received[0]?.relayResponse?.relayServer).toBe(toController)
    expect(a.received[1]?.punchHoleResponse?.relayServer).toBe(toController)

    await bench.message(a, { requestRelay: { id: ID, uuid: 'u', relayServer: toController, secure: true } })
    expect(bench.sent[1]?.message.requestRelay?.relayServer).toBe(toDevice)
  })

  it('a controller in the network of the device is told the address inside', async () => {
    const bench = await benchWithRules(LAN_DEVICE)
    const a = new TestConnection({ ip: LAN_DEVICE, port: 50_000 })
    await bench.message(a, punch)
    const { socketAddr, relayServer } = bench.sent[0]?.message.fetchLocalAddr ?? {}
    expect(relayServer).toBe(INSIDE)
    const localAddr = mangleAddress({ ip: LAN_DEVICE, port: 4000 }, 3)
    const answer = { socketAddr: socketAddr ?? new Uint8Array(), localAddr, relayServer: OUTSIDE, id: ID, version: '1' }
    await bench.message(new TestConnection({ ip: LAN_DEVICE, port: 6000 }), { localAddr: answer })
    expect(a.received[0]?.punchHoleResponse?.relayServer).toBe(INSIDE)
  })

  it('a relay of its own that a device names is nobody else’s business', async () => {
    const bench = await benchWithRules(LAN_DEVICE)
    const a = new TestConnection({ ip: WAN_CONTROLLER, port: 50_000 })
    await bench.message(a, punch)
    const socketAddr = bench.sent[0]?.message.punchHole?.socketAddr ?? new Uint8Array()
    const relayResponse = { socketAddr, relayServer: 'own.example:1', uuid: 'u', id: ID, version: '1.4.9' }
    await bench.message(new TestConnection({ ip: LAN_DEVICE, port: 6000 }), { relayResponse })
    expect(a.received[0]?.relayResponse?.relayServer).toBe('own.example:1')
  })
})
