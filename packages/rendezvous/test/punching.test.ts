import { describe, expect, it } from '@jest/globals'
import { mangleAddress, type OutgoingRendezvousMessage, rendezvous, unmangleAddress } from '@tryst/protocol'
import type { RendezvousPorts } from '../src/rendezvous-ports.ts'
import { alone, TestBench, TestConnection } from './test-bench.ts'

const { ASYMMETRIC, SYMMETRIC } = rendezvous.NatType
const DEVICE = '203.0.113.9'
const DEVICE_V6 = '2001:db8:9::9'
const CONTROLLER = { ip: '203.0.113.7', port: 50_000 }
const CONTROLLER_V6 = { ip: '2001:db8:7::7', port: 50_000 }
const UDP_PORT = 61_000
const ID = '123456789'
const OTHER_ID = '987654321'
const V6_OF_CONTROLLER = mangleAddress({ ip: '2001:db8::a', port: 40_001 }, 0)
const V6_OF_DEVICE = mangleAddress({ ip: '2001:db8::b', port: 40_002 }, 0)

const ask = (more: rendezvous.PunchHoleRequest.$Properties = {}) => ({
  punchHoleRequest: { id: ID, natType: ASYMMETRIC, licenceKey: 'KEY', version: '1.4.9', ...more },
})

async function benchWithDevice(settings = {}, ports: Partial<RendezvousPorts> = {}, deviceIp = DEVICE) {
  const bench = new TestBench(settings, ports)
  await bench.register(ID, deviceIp, { port: 7000 })
  await bench.register(OTHER_ID, deviceIp, { port: 7001 })
  bench.sent.length = 0
  return bench
}

/** What the device is asked when this controller sends this. */
async function pushed(bench: TestBench, controller: TestConnection, request: OutgoingRendezvousMessage) {
  const before = bench.sent.length
  await bench.message(controller, request)
  const [push] = bench.sent.slice(before)
  return push?.message
}

describe('what a controller says of its ways', () => {
  it('reaches a device that is to punch', async () => {
    const bench = await benchWithDevice()
    const request = ask({ udpPort: UDP_PORT, upnpPort: 4, socketAddrV6: V6_OF_CONTROLLER })
    const push = await pushed(bench, new TestConnection(CONTROLLER), request)
    expect(push?.punchHole).toMatchObject({ natType: ASYMMETRIC, udpPort: UDP_PORT, upnpPort: 4, forceRelay: false })
    expect(push?.punchHole?.socketAddrV6).toEqual(V6_OF_CONTROLLER)
    expect(unmangleAddress(push?.punchHole?.socketAddr ?? new Uint8Array())).toMatchObject(CONTROLLER)
  })

  it('reaches a device in the same network as far as the message has room for it', async () => {
    const bench = await benchWithDevice()
    const push = await pushed(
      bench,
      new TestConnection({ ip: DEVICE, port: 1 }),
      ask({ socketAddrV6: V6_OF_CONTROLLER }),
    )
    expect(push?.fetchLocalAddr?.socketAddrV6).toEqual(V6_OF_CONTROLLER)
  })

  it.each([
    ['a group', mangleAddress({ ip: 'ff02::1', port: 9 }, 0)],
    ['no port', mangleAddress({ ip: '2001:db8::a', port: 0 }, 0)],
    ['IPv4', mangleAddress(CONTROLLER, 77)],
    ['too long a text', new Uint8Array(400).fill(32)],
  ])('is not handed on where peers would send datagrams to %s', async (_what, socketAddrV6) => {
    const bench = await benchWithDevice()
    const a = new TestConnection(CONTROLLER)
    const push = await pushed(bench, a, ask({ socketAddrV6, udpPort: 70_000 }))
    expect(push?.punchHole).toMatchObject({ udpPort: 0 })
    expect(push?.punchHole?.socketAddrV6).toHaveLength(0)
    const sent = { socketAddr: push?.punchHole?.socketAddr ?? null, id: ID, socketAddrV6, version: '1.4.9' }
    await bench.message(new TestConnection({ ip: DEVICE, port: 6001 }), { punchHoleSent: sent })
    expect(a.received[0]?.punchHoleResponse?.socketAddrV6).toHaveLength(0)
  })

  it('makes devices of every version bring a relay when it wants one, even in its own network', async () => {
    const bench = await benchWithDevice()
    for (const ip of [CONTROLLER.ip, DEVICE]) {
      const push = await pushed(
        bench,
        new TestConnection({ ip, port: 1 }),
        ask({ forceRelay: true, udpPort: UDP_PORT }),
      )
      expect(push?.punchHole).toMatchObject({ natType: SYMMETRIC, forceRelay: true, udpPort: UDP_PORT })
    }
  })

  it('does not count where the operator wants a relay', async () => {
    const bench = await benchWithDevice({ alwaysUseRelay: true })
    const push = await pushed(bench, new TestConnection(CONTROLLER), ask())
    expect(push?.punchHole).toMatchObject({ natType: SYMMETRIC, forceRelay: true })
  })

  it.each([
    [CONTROLLER, DEVICE_V6],
    [CONTROLLER_V6, DEVICE],
  ])(
    'leads through a relay when the other has another address family, and leaves IPv6 open',
    async (from, deviceIp) => {
      const bench = await benchWithDevice({}, {}, deviceIp)
      const push = await pushed(bench, new TestConnection(from), ask({ socketAddrV6: V6_OF_CONTROLLER }))
      expect(push?.punchHole).toMatchObject({ natType: SYMMETRIC, forceRelay: false })
      expect(push?.punchHole?.socketAddrV6).toEqual(V6_OF_CONTROLLER)
      // Nobody punches to the port, so it is not the true one.
      expect(unmangleAddress(push?.punchHole?.socketAddr ?? new Uint8Array())).toMatchObject({ ip: from.ip })
      expect(unmangleAddress(push?.punchHole?.socketAddr ?? new Uint8Array()).port).not.toBe(from.port)
    },
  )
})

describe('a device with both address families', () => {
  it('is reached over the one that it spoke over last', async () => {
    const bench = await benchWithDevice()
    const natTypeFor = async (from: typeof CONTROLLER) =>
      (await pushed(bench, new TestConnection(from), ask()))?.punchHole?.natType
    expect([await natTypeFor(CONTROLLER), await natTypeFor(CONTROLLER_V6)]).toEqual([ASYMMETRIC, SYMMETRIC])
    await bench.register(ID, DEVICE_V6, { port: 7000 })
    expect([await natTypeFor(CONTROLLER), await natTypeFor(CONTROLLER_V6)]).toEqual([SYMMETRIC, ASYMMETRIC])
    await bench.register(ID, DEVICE, { port: 7000 })
    expect([await natTypeFor(CONTROLLER), await natTypeFor(CONTROLLER_V6)]).toEqual([ASYMMETRIC, SYMMETRIC])
  })
})

describe('what a device says of its ways', () => {
  it('reaches the controller with each of its answers', async () => {
    const socketAddrV6 = V6_OF_DEVICE
    const answers: [Partial<typeof CONTROLLER>, (socketAddr: Uint8Array) => OutgoingRendezvousMessage][] = [
      [CONTROLLER, (socketAddr) => ({ punchHoleSent: { socketAddr, id: ID, socketAddrV6, upnpPort: 5 } })],
      [CONTROLLER, (socketAddr) => ({ relayResponse: { socketAddr, id: ID, socketAddrV6, upnpPort: 5, uuid: 'u' } })],
      [{ ip: DEVICE }, (socketAddr) => ({ localAddr: { socketAddr, id: ID, socketAddrV6, localAddr: socketAddr } })],
    ]
    for (const [from, answer] of answers) {
      const bench = await benchWithDevice()
      const a = new TestConnection({ ...CONTROLLER, ...from })
      const push = await pushed(bench, a, ask())
      const handle = (push?.punchHole ?? push?.fetchLocalAddr)?.socketAddr ?? new Uint8Array()
      await bench.message(new TestConnection({ ip: DEVICE, port: 6001 }), answer(handle))
      const { punchHoleResponse, relayResponse } = a.received[0] ?? {}
      const received = punchHoleResponse ?? relayResponse
      expect(received?.socketAddrV6).toEqual(V6_OF_DEVICE)
      if (!push?.fetchLocalAddr) expect(received?.upnpPort).toBe(5)
      expect(punchHoleResponse?.isUdp ?? false).toBe(false)
    }
  })
})

describe('a device that answers over the other address family', () => {
  it('is tried for a moment only', async () => {
    const bench = await benchWithDevice()
    const a = new TestConnection(CONTROLLER)
    const push = await pushed(bench, a, ask())
    const socketAddr = push?.punchHole?.socketAddr ?? new Uint8Array()
    const punchHoleSent = { socketAddr, id: ID, natType: ASYMMETRIC, version: '1.4.9' }
    await bench.message(new TestConnection({ ip: DEVICE_V6, port: 6001 }), { punchHoleSent })
    expect(a.received[0]?.punchHoleResponse).toMatchObject({ natType: SYMMETRIC })
  })
})

/** A device that was asked to punch by UDP, and its answer. */
async function askedByUdp({ controller = CONTROLLER, deviceIp = DEVICE, ...more } = {}) {
  const bench = await benchWithDevice({}, {}, deviceIp)
  const a = new TestConnection(controller)
  const push = await pushed(bench, a, ask({ udpPort: UDP_PORT, ...more }))
  const socketAddr = push?.punchHole?.socketAddr ?? new Uint8Array()
  const punchHoleSent = { socketAddr, id: ID, relayServer: 'r:1', natType: ASYMMETRIC, version: '1.4.9' }
  return { bench, a, punchHoleSent }
}

describe('a device that punches by UDP', () => {
  it('is answered to the controller with the source of its datagram, once', async () => {
    const { bench, a, punchHoleSent } = await askedByUdp()
    for (let i = 0; i < 3; i++) await bench.datagram({ punchHoleSent }, DEVICE, 41_119)
    expect(a.received).toHaveLength(1)
    const answer = a.received[0]?.punchHoleResponse
    expect(answer).toMatchObject({ isUdp: true, relayServer: 'r:1', natType: ASYMMETRIC })
    expect(answer?.pk).toHaveLength(64 + 45)
    expect(unmangleAddress(answer?.socketAddr ?? new Uint8Array())).toMatchObject({ ip: DEVICE, port: 41_119 })
    expect(bench.server.counters.answers).toMatchObject({ delivered: 1, repeated: 2, nobody_waits: 0 })
  })

  it('is answered anew when the controller has asked again', async () => {
    const { bench, a, punchHoleSent } = await askedByUdp()
    await bench.datagram({ punchHoleSent }, DEVICE, 41_119)
    bench.passTime(3_000)
    const again = await pushed(bench, a, ask({ udpPort: UDP_PORT }))
    expect(again?.punchHole?.socketAddr).toEqual(punchHoleSent.socketAddr)
    await bench.datagram({ punchHoleSent }, DEVICE, 41_120)
    const ports = a.received.map(({ punchHoleResponse }) => {
      return unmangleAddress(punchHoleResponse?.socketAddr ?? new Uint8Array()).port
    })
    expect(ports).toEqual([41_119, 41_120])
  })

  it('may answer over TCP all the same', async () => {
    const { bench, a, punchHoleSent } = await askedByUdp()
    await bench.message(new TestConnection({ ip: DEVICE, port: 6001 }), { punchHoleSent })
    expect(a.received[0]?.punchHoleResponse).toMatchObject({ isUdp: false })
  })

  it('is answered in time only', async () => {
    const { bench, a, punchHoleSent } = await askedByUdp()
    bench.passTime(19_999)
    await bench.datagram({ punchHoleSent }, DEVICE)
    expect(a.received).toHaveLength(1)
  })

  it('is answered over IPv6 too', async () => {
    const { bench, a, punchHoleSent } = await askedByUdp({ controller: CONTROLLER_V6, deviceIp: DEVICE_V6 })
    await bench.datagram({ punchHoleSent }, DEVICE_V6, 41_119)
    const { socketAddr } = a.received[0]?.punchHoleResponse ?? {}
    expect(unmangleAddress(socketAddr ?? new Uint8Array())).toMatchObject({ ip: DEVICE_V6, port: 41_119 })
  })
})

type Asked = Awaited<ReturnType<typeof askedByUdp>>
type Forgery = { sent?: rendezvous.PunchHoleSent.$Properties; from?: string; prepare?: (asked: Asked) => unknown }

/** Each is the right answer but for one thing. */
const FORGERIES: [string, (asked: Asked) => Forgery][] = [
  ['from another address', () => ({ from: '203.0.113.10' })],
  ['from the address of the controller', () => ({ from: CONTROLLER.ip })],
  ['from an IPv6 address', () => ({ from: DEVICE_V6 })],
  ['with an empty handle', () => ({ sent: { socketAddr: new Uint8Array(0) } })],
  [
    'with the address of the controller and a guessed secret',
    () => ({ sent: { socketAddr: mangleAddress(CONTROLLER, 0x12345678) } }),
  ],
  [
    'with a handle that is one bit off',
    ({ punchHoleSent }) => ({
      sent: { socketAddr: punchHoleSent.socketAddr.map((byte, i) => (i === 2 ? byte ^ 1 : byte)) },
    }),
  ],
  [
    'with a handle that is cut short',
    ({ punchHoleSent: { socketAddr } }) => ({ sent: { socketAddr: socketAddr.slice(0, -1) } }),
  ],
  [
    'with a handle of many bytes',
    ({ punchHoleSent: { socketAddr } }) => ({
      sent: { socketAddr: Uint8Array.from({ length: 900 }, (_, i) => socketAddr[i] ?? 0) },
    }),
  ],
  [
    'with the UDP address of the controller for a handle',
    () => ({ sent: { socketAddr: mangleAddress({ ...CONTROLLER, port: UDP_PORT }, 0) } }),
  ],
  ['with another id', () => ({ sent: { id: OTHER_ID } })],
  ['with no id', () => ({ sent: { id: '' } })],
  ['with the id in other letters', () => ({ sent: { id: ` ${ID}` } })],
  ['20 s late', () => ({ prepare: ({ bench }) => bench.passTime(20_000) })],
  ['an hour late', () => ({ prepare: ({ bench }) => bench.passTime(3_600_000) })],
  ['when the controller has gone', () => ({ prepare: ({ bench, a }) => bench.server.onClose(a) })],
]

describe('a datagram that pretends to be an answer', () => {
  it.each(FORGERIES)('reaches nobody %s', async (_how, forge) => {
    for (const family of [{}, { controller: CONTROLLER_V6, deviceIp: DEVICE_V6 }]) {
      const asked = await askedByUdp(family)
      const { bench, a, punchHoleSent } = asked
      const { sent, from, prepare } = forge(asked)
      prepare?.(asked)
      const right = 'deviceIp' in family ? family.deviceIp : DEVICE
      const source = from === right ? '2001:db8:ff::1' : (from ?? right)
      const forged = { punchHoleSent: { ...punchHoleSent, ...sent } }
      expect(await bench.datagram(forged, source, 41_119)).toEqual([])
      expect(a.received).toEqual([])
      expect(bench.server.counters.answers).toMatchObject({ delivered: 0, nobody_waits: 1 })
    }
  })

  it('does not use up the answer of the device', async () => {
    const { bench, a, punchHoleSent } = await askedByUdp()
    await bench.datagram({ punchHoleSent }, '203.0.113.10')
    await bench.datagram({ punchHoleSent: { ...punchHoleSent, id: OTHER_ID } }, DEVICE)
    await bench.datagram({ punchHoleSent }, DEVICE, 41_119)
    expect(a.received).toHaveLength(1)
  })

  it('reaches nobody before the device was asked, or when it was asked for something else', async () => {
    const others = [
      ask(), // To punch by TCP.
      ask({ udpPort: -1 }),
      ask({ udpPort: 65_536 }),
      ask({ udpPort: UDP_PORT, natType: SYMMETRIC }), // To bring a relay.
      ask({ udpPort: UDP_PORT, forceRelay: true }),
      { requestRelay: { id: ID, uuid: 'uuid' } },
    ]
    for (const request of others) {
      const bench = await benchWithDevice()
      const a = new TestConnection(CONTROLLER)
      const early = { socketAddr: mangleAddress(CONTROLLER, 0), id: ID }
      await bench.datagram({ punchHoleSent: early }, DEVICE)
      const push = await pushed(bench, a, request)
      const socketAddr = (push?.punchHole ?? push?.requestRelay)?.socketAddr ?? new Uint8Array()
      await bench.datagram({ punchHoleSent: { socketAddr, id: ID, version: '1.4.9' } }, DEVICE)
      expect(a.received).toEqual([])
    }
  })

  it('reaches nobody under the handle of another controller', async () => {
    const { bench, a, punchHoleSent } = await askedByUdp()
    const b = new TestConnection({ ip: '203.0.113.8', port: 50_000 })
    const push = await pushed(bench, b, ask({ id: OTHER_ID, udpPort: UDP_PORT }))
    const handle = push?.punchHole?.socketAddr ?? new Uint8Array()
    await bench.datagram({ punchHoleSent: { ...punchHoleSent, socketAddr: handle } }, DEVICE)
    await bench.datagram({ punchHoleSent: { ...punchHoleSent, id: OTHER_ID } }, DEVICE)
    expect([a.received, b.received]).toEqual([[], []])
  })

  it('reaches nobody as LocalAddr or RelayResponse', async () => {
    const { bench, a, punchHoleSent } = await askedByUdp()
    const { socketAddr, id } = punchHoleSent
    await bench.datagram({ relayResponse: { socketAddr, id, uuid: 'u', relayServer: 'evil:1' } }, DEVICE)
    await bench.datagram({ localAddr: { socketAddr, id, localAddr: socketAddr } }, DEVICE)
    expect(a.received).toEqual([])
    expect(bench.server.counters.drops.unexpected).toBe(2)
  })

  it('is no way to have other nodes asked again and again', async () => {
    let asked = 0
    const answer = async () => {
      asked++
      return false
    }
    const bench = new TestBench({}, { cluster: { ...alone, isAlone: false, answer } })
    const punchHoleSent = { socketAddr: mangleAddress(CONTROLLER, 5), id: ID }
    for (let i = 0; i < 250; i++) await bench.datagram({ punchHoleSent }, DEVICE, 1000 + i)
    expect(asked).toBe(200)
    for (let i = 0; i < 2_000; i++) await bench.datagram({ punchHoleSent }, `198.51.${i >> 8}.${i & 255}`)
    expect(asked).toBe(500)
    expect(bench.server.counters.answers).toMatchObject({ nobody_waits: 500, too_many: 1_750 })
  })
})

describe('the NAT test of a punch socket', () => {
  const natTest = { testNatRequest: { serial: 0 } }

  it('is answered with the source port where the address has a connection, as often as it asks', async () => {
    const bench = new TestBench(
      { serial: 9, rendezvousServers: ['a'] },
      { hasConnection: (ip) => ip === CONTROLLER.ip },
    )
    for (let i = 0; i < 100; i++) {
      expect(await bench.datagram(natTest, CONTROLLER.ip, 4_000 + i)).toMatchObject([
        { testNatResponse: { port: 4_000 + i, cu: null } },
      ])
    }
    expect(bench.server.counters.udpNatTests).toBe(100)
    expect(await bench.datagram(natTest, '203.0.113.8')).toEqual([])
    expect(bench.server.counters.drops.unproven_address).toBe(1)
  })

  it('is answered where the address has a device that is online', async () => {
    for (const ip of [DEVICE, DEVICE_V6]) {
      const bench = await benchWithDevice({}, {}, ip)
      expect(await bench.datagram(natTest, ip, 4_000)).toMatchObject([{ testNatResponse: { port: 4_000 } }])
      bench.passTime(30_000)
      expect(await bench.datagram(natTest, ip, 4_000)).toEqual([])
    }
  })

  it('is answered to anybody a few times where a connection may be with another node', async () => {
    const bench = new TestBench({}, { cluster: { ...alone, isAlone: false } })
    const answers: unknown[] = []
    for (let i = 0; i < 50; i++) answers.push(...(await bench.datagram(natTest, CONTROLLER.ip)))
    expect(answers).toHaveLength(20)
    for (let i = 0; i < 2_000; i++) answers.push(...(await bench.datagram(natTest, `198.51.${i >> 8}.${i & 255}`)))
    expect(answers).toHaveLength(500)
    bench.passTime(10_000)
    expect(await bench.datagram(natTest, CONTROLLER.ip)).toHaveLength(1)
  })
})
