import { describe, expect, it } from '@jest/globals'
import { mangleAddress, rendezvous, unmangleAddress } from '@tryst/protocol'
import { TestBench, TestConnection } from './test-bench.ts'

const { Failure } = rendezvous.PunchHoleResponse
const { ASYMMETRIC, SYMMETRIC } = rendezvous.NatType
const DEVICE = '203.0.113.9'
const CONTROLLER = { ip: '203.0.113.7', port: 50_000 }
const ID = '123456789'

const ask = (more: object = {}) => ({
  punchHoleRequest: { id: ID, natType: ASYMMETRIC, licenceKey: 'KEY', version: '1.4.9', ...more },
})

async function benchWithDevice(settings = {}) {
  const bench = new TestBench(settings)
  await bench.register(ID, DEVICE, { port: 7000 })
  bench.sent.length = 0
  return bench
}

/** The handle in a message that was pushed to a device. */
function handleIn(bench: TestBench, index = 0): Uint8Array {
  const { punchHole, fetchLocalAddr, requestRelay } = bench.sent[index]?.message ?? {}
  const handle = (punchHole ?? fetchLocalAddr ?? requestRelay)?.socketAddr
  if (!handle) throw new Error(`nothing with a handle was pushed: ${JSON.stringify(bench.sent[index])}`)
  return handle
}

/** A device's connection from its own address. */
const fromDevice = (port = 6000) => new TestConnection({ ip: DEVICE, port })

describe('punch request', () => {
  it('reaches the device with the true address, and the answer reaches the controller', async () => {
    const bench = await benchWithDevice()
    const a = new TestConnection(CONTROLLER)
    expect(await bench.message(a, ask())).toEqual([])
    const [push] = bench.sent
    expect(push?.to).toBe(`${DEVICE}:7000`)
    const { relayServer, natType } = push?.message.punchHole ?? {}
    const socketAddr = handleIn(bench)
    expect(unmangleAddress(socketAddr)).toMatchObject(CONTROLLER)
    expect({ relayServer, natType }).toEqual({ relayServer: 'relay.example:21117', natType: ASYMMETRIC })

    const b = fromDevice(6001)
    const sent = { socketAddr, id: ID, relayServer: 'r:1', natType: SYMMETRIC, version: '1.4.9' }
    await bench.message(b, { punchHoleSent: sent })
    const answer = a.received[0]?.punchHoleResponse
    expect(unmangleAddress(answer?.socketAddr ?? new Uint8Array())).toMatchObject({ ip: DEVICE, port: 6001 })
    expect(answer).toMatchObject({ relayServer: 'r:1', natType: SYMMETRIC })
    expect(answer?.pk).toHaveLength(64 + 45)
    expect(b.closed).toBe(true)
    expect(a.closed).toBe(false)
    await bench.message(fromDevice(), { punchHoleSent: sent })
    expect(a.received).toHaveLength(2)
  })

  it('gives no signed key for a device that names no version', async () => {
    const bench = await benchWithDevice()
    const a = new TestConnection(CONTROLLER)
    await bench.message(a, ask())
    await bench.message(fromDevice(), {
      punchHoleSent: { socketAddr: handleIn(bench), id: ID },
    })
    expect(a.received[0]?.punchHoleResponse?.pk).toHaveLength(0)
  })

  it('is refused with a code, and in words where the code leaves the user guessing', async () => {
    const key = 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg='
    const bench = await benchWithDevice({ expectedKey: key })
    const a = new TestConnection(CONTROLLER)
    const [wrong] = await bench.message(a, ask({ licenceKey: 'wrong' }))
    expect(wrong?.punchHoleResponse).toMatchObject({ failure: Failure.LICENSE_MISMATCH })
    expect(wrong?.punchHoleResponse?.otherFailure).toMatch(/mismatch.*ends in JVMbg=/)
    const [unknown] = await bench.message(a, ask({ id: 'nobody-here', licenceKey: key }))
    expect(unknown?.punchHoleResponse).toMatchObject({ failure: Failure.ID_NOT_EXIST, otherFailure: '' })
    bench.nowMs += 30_000
    const [offline] = await bench.message(a, ask({ licenceKey: key }))
    expect(offline?.punchHoleResponse).toMatchObject({ failure: Failure.OFFLINE, otherFailure: '' })
    expect(bench.sent).toEqual([])
  })

  it('does not hint at a key that is a mere password', async () => {
    const bench = await benchWithDevice({ expectedKey: 'secret text' })
    const [answer] = await bench.message(new TestConnection(CONTROLLER), ask({ licenceKey: 'wrong' }))
    expect(answer?.punchHoleResponse?.otherFailure).not.toContain('text')
  })

  it('is left without an answer while the store is away, since a false refusal would be final', async () => {
    const bench = new TestBench()
    bench.identities.failing = true
    expect(await bench.message(new TestConnection(CONTROLLER), ask())).toEqual([])
    expect(bench.events.join()).toContain('unavailable request')
  })

  it('asks for the local address when both are behind one address, and hides the port', async () => {
    const bench = await benchWithDevice()
    const a = new TestConnection({ ip: DEVICE, port: 50_000 })
    await bench.message(a, ask())
    const handle = unmangleAddress(handleIn(bench))
    expect(handle.ip).toBe(DEVICE)
    expect(handle.port).not.toBe(50_000)
    // Devices encode the address anew.
    const localAddr = mangleAddress({ ip: '192.168.1.5', port: 4000 }, 3)
    const local = { socketAddr: mangleAddress(handle, 99), localAddr, id: ID, version: '1.4.9', relayServer: 'r:1' }
    await bench.message(fromDevice(), { localAddr: local })
    expect(a.received[0]?.punchHoleResponse).toMatchObject({
      isLocal: true,
      socketAddr: localAddr,
    })
  })

  it('never asks for the local address on behalf of a WebSocket controller', async () => {
    const bench = await benchWithDevice()
    await bench.message(new TestConnection({ ip: DEVICE, port: 0 }, 'websocket'), ask({ natType: SYMMETRIC }))
    expect(bench.sent[0]?.message.punchHole?.natType).toBe(SYMMETRIC)
  })

  it('keeps controllers behind one proxy apart', async () => {
    const bench = await benchWithDevice()
    const [a, c] = [1, 2].map(() => new TestConnection({ ip: '198.51.100.4', port: 0 }, 'websocket'))
    if (!a || !c) throw new Error('unreachable')
    await bench.message(a, ask({ natType: SYMMETRIC }))
    await bench.message(c, ask({ natType: SYMMETRIC }))
    const socketAddr = handleIn(bench, 1)
    await bench.message(fromDevice(), {
      relayResponse: { socketAddr, uuid: 'u', relayServer: 'r:1', id: ID, version: '1' },
    })
    expect(a.received).toEqual([])
    expect(c.received).toHaveLength(1)
  })

  it('gets the same handle in repeats', async () => {
    const bench = await benchWithDevice()
    const a = new TestConnection(CONTROLLER)
    await bench.message(a, ask())
    await bench.message(a, ask())
    const [first, second] = bench.sent.map(({ message }) => message.punchHole?.socketAddr)
    expect(first).toEqual(second)
  })

  it('is forgotten, oldest first, by a connection that asks for device after device', async () => {
    const bench = new TestBench()
    const id = (i: number) => `${700_000_000 + i}`
    for (let i = 0; i < 9; i++) await bench.register(id(i), `198.51.${i >> 8}.${i & 255}`)
    const a = new TestConnection(CONTROLLER)
    bench.sent.length = 0
    for (let i = 0; i < 9; i++) await bench.message(a, ask({ id: id(i) }))
    const answerOf = (i: number) => ({
      punchHoleSent: { socketAddr: handleIn(bench, i), id: id(i), version: '1.4.9' },
    })
    await bench.message(fromDevice(), answerOf(0))
    expect(a.received).toHaveLength(0)
    await bench.message(fromDevice(), answerOf(1))
    await bench.message(fromDevice(), answerOf(8))
    expect(a.received).toHaveLength(2)
  })
})

describe('an answer', () => {
  const answers = (socketAddr: Uint8Array, id = ID) => [
    { punchHoleSent: { socketAddr, id, version: '1.4.9' } },
    { relayResponse: { socketAddr, id, uuid: 'u', relayServer: 'r:1', version: '1.4.9' } },
    { localAddr: { socketAddr, id, localAddr: socketAddr, version: '1.4.9' } },
  ]

  it('to a guessed address, or for another id, reaches nobody', async () => {
    const bench = await benchWithDevice()
    const a = new TestConnection(CONTROLLER)
    await bench.message(a, ask())
    const handle = handleIn(bench)
    for (const forged of [
      ...answers(mangleAddress(CONTROLLER, 1)),
      ...answers(handle, '999999999'),
      ...answers(new Uint8Array()),
    ]) {
      await bench.message(new TestConnection({ ip: '192.0.2.1', port: 1 }), forged)
    }
    expect(a.received).toEqual([])
    expect(bench.server.counters.answers).toMatchObject({ delivered: 0, nobody_waits: 9 })
  })

  it('to a controller that has gone reaches nobody, and leaves nothing behind', async () => {
    const bench = await benchWithDevice()
    const a = new TestConnection(CONTROLLER)
    await bench.message(a, ask())
    bench.server.onClose(a)
    for (const answer of answers(handleIn(bench))) {
      await bench.message(fromDevice(), answer)
    }
    expect(a.received).toEqual([])
    expect(bench.server.introducer.waiting.size).toBe(0)
  })

  it('for a direct IPv6 punch comes from the address of the device', async () => {
    const bench = new TestBench()
    await bench.register(ID, '2001:db8::9')
    bench.sent.length = 0
    const a = new TestConnection({ ip: '2001:db8::7', port: 50_000 })
    await bench.message(a, ask())
    const sent = {
      punchHoleSent: { socketAddr: handleIn(bench), id: ID, version: '1.4.9' },
    }
    await bench.message(new TestConnection({ ip: '2001:db8::bad', port: 1 }), sent)
    expect(a.received).toEqual([])
    await bench.message(new TestConnection({ ip: '2001:db8::9', port: 1 }), sent)
    expect(a.received).toHaveLength(1)
  })

  it('to an IPv6 controller is told apart by the random port, whatever id it names', async () => {
    const bench = new TestBench()
    await bench.register(ID, '2001:db8::9')
    await bench.register('123456780', '2001:db8::7')
    bench.sent.length = 0
    const a = new TestConnection({ ip: '2001:db8::7', port: 50_000 })
    await bench.message(a, { requestRelay: { id: ID, uuid: 'u', relayServer: 'r:1' } })
    await bench.message(a, ask({ id: '123456780' }))
    await bench.message(fromDevice(), { relayResponse: { socketAddr: handleIn(bench, 0), version: '1.4.9' } })
    const local = {
      localAddr: { socketAddr: handleIn(bench, 1), id: '123456780', localAddr: handleIn(bench), version: '1' },
    }
    await bench.message(fromDevice(), local)
    expect(a.received.map(({ union }) => union)).toEqual(['relayResponse', 'punchHoleResponse'])
  })

  it('with a relay brings the signed key instead of the id, and never one that the device made up', async () => {
    const bench = await benchWithDevice()
    const a = new TestConnection(CONTROLLER)
    await bench.message(a, ask({ natType: SYMMETRIC }))
    const socketAddr = handleIn(bench)
    await bench.message(fromDevice(), {
      relayResponse: { socketAddr, uuid: 'u', relayServer: 'r:1', id: ID, version: '1.4.9' },
    })
    await bench.message(fromDevice(), {
      relayResponse: { socketAddr, uuid: 'v', pk: Uint8Array.of(1), version: '1.4.9' },
    })
    const [first, second] = a.received.map(({ relayResponse }) => relayResponse)
    expect(first).toMatchObject({ uuid: 'u', relayServer: 'r:1', union: 'pk', version: '1.4.9' })
    expect(first?.pk).toHaveLength(109)
    expect(first?.socketAddr).toHaveLength(0)
    expect(second?.pk ?? new Uint8Array()).toHaveLength(0)
  })
})

describe('relay request', () => {
  const request = (more: object = {}) => ({
    requestRelay: { id: ID, uuid: 'u', relayServer: 'r:1', secure: true, token: 't', ...more },
  })

  it('is handed on with its fields, and the answer comes back', async () => {
    const bench = await benchWithDevice()
    const a = new TestConnection(CONTROLLER)
    expect(await bench.message(a, request())).toEqual([])
    const forwarded = bench.sent[0]?.message.requestRelay
    expect(forwarded).toMatchObject({ id: ID, uuid: 'u', relayServer: 'r:1', secure: true })
    await bench.message(fromDevice(), { relayResponse: { socketAddr: handleIn(bench), version: '1.4.9' } })
    expect(a.received[0]?.relayResponse).toMatchObject({ refuseReason: '', version: '1.4.9' })
  })

  it.each([
    ['an unknown device', { id: 'nobody-here' }, 'ID does not exist'],
    ['a wrong key, where one is named', { licenceKey: 'wrong' }, 'mismatch'],
    ['a request that is too long to push', { uuid: 'u'.repeat(2_000) }, 'too long'],
  ])('is refused in words at once for %s', async (_, more, words) => {
    const bench = await benchWithDevice()
    const [answer] = await bench.message(new TestConnection(CONTROLLER), request(more))
    expect(answer?.relayResponse?.refuseReason).toContain(words)
    expect(bench.sent).toEqual([])
  })

  it('is refused for a silent device', async () => {
    const bench = await benchWithDevice()
    bench.nowMs += 30_000
    const [answer] = await bench.message(new TestConnection(CONTROLLER), request())
    expect(answer?.relayResponse?.refuseReason).toContain('offline')
  })
})

describe('other messages on a connection', () => {
  it('answers the NAT test with the source port, and ends the connection', async () => {
    const bench = new TestBench({ serial: 5, rendezvousServers: ['203.0.113.1'] })
    const a = new TestConnection(CONTROLLER)
    const [answer] = await bench.message(a, { testNatRequest: { serial: 4 } })
    expect(answer?.testNatResponse).toMatchObject({ port: 50_000, cu: { serial: 5 } })
    expect(a.closed).toBe(true)
  })

  it('tells who is online, the first id in the highest bit', async () => {
    const bench = await benchWithDevice()
    const peers = [ID, ...Array.from({ length: 7 }, (_, i) => `${i}`), ID]
    const [answer] = await bench.message(new TestConnection(CONTROLLER), { onlineRequest: { peers } })
    expect(answer?.onlineResponse?.states).toEqual(Uint8Array.of(0x80, 0x80))
  })

  it('ends connections that say what nobody says there', () => {
    const bench = new TestBench()
    for (const payload of [new Uint8Array(), Uint8Array.of(0xff)]) {
      const b = new TestConnection(CONTROLLER)
      expect(bench.server.onMessage(b, payload)).toBe('invalid')
      expect(b.closed).toBe(true)
    }
  })
})
