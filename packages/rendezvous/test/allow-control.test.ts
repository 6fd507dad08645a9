import { describe, expect, it } from '@jest/globals'
import type { ControlRule } from '../src/control-access.ts'
import type { RendezvousPorts } from '../src/rendezvous-ports.ts'
import { TestBench, TestConnection } from './test-bench.ts'
import { TestCluster } from './test-cluster.ts'

const laptop = '123456789'
const home = '203.0.113.7'
const abroad = { ip: '198.51.100.4', port: 4_000 }

async function bench(allowControl: ControlRule, ports: Partial<RendezvousPorts> = {}) {
  const it = new TestBench({ allowControl }, ports)
  await it.register(laptop, home)
  it.sent.length = 0
  return it
}

const punch = { punchHoleRequest: { id: laptop, licenceKey: 'KEY' } }
const relay = { requestRelay: { id: laptop, uuid: 'u', relayServer: 'r' } }
const query = { onlineRequest: { id: '1', peers: [laptop, 'nobody'] } }

describe('where only networks with a device may ask', () => {
  for (const transport of ['tcp', 'websocket'] as const) {
    it(`refuses requests from elsewhere in words, over ${transport}, and asks no device`, async () => {
      const it = await bench('registered')
      const [punched] = await it.message(new TestConnection(abroad, transport), punch)
      expect(punched?.punchHoleResponse?.otherFailure).toContain('not allowed from this network')
      expect(punched?.punchHoleResponse?.socketAddr).toHaveLength(0)
      const [relayed] = await it.message(new TestConnection(abroad, transport), relay)
      expect(relayed?.relayResponse?.refuseReason).toContain('not allowed from this network')
      expect(it.sent).toEqual([])
      expect(it.server.counters.requests.not_allowed).toBe(2)
      expect(it.server.introducer.waiting.size).toBe(0)
    })

    it(`says of every device that it is offline to whoever asks from elsewhere, over ${transport}`, async () => {
      const it = await bench('registered')
      const asking = new TestConnection(abroad, transport)
      const [answer] = await it.message(asking, query)
      expect([...(answer?.onlineResponse?.states ?? [])]).toEqual([0])
      expect(asking.isClosed).toBe(true)
    })

    it(`serves whoever shares the address of a device, over ${transport}`, async () => {
      const it = await bench('registered')
      const atHome = () => new TestConnection({ ip: home, port: 9 }, transport)
      await it.message(atHome(), punch)
      await it.message(atHome(), relay)
      expect(it.sent).toHaveLength(2)
      const [answer] = await it.message(atHome(), query)
      expect([...(answer?.onlineResponse?.states ?? [])]).toEqual([0x80])
    })
  }

  it('says the same whether or not the device exists', async () => {
    const it = await bench('registered')
    const [known] = await it.message(new TestConnection(abroad), punch)
    const [unknown] = await it.message(new TestConnection(abroad), {
      punchHoleRequest: { id: 'nobody', licenceKey: 'KEY' },
    })
    expect(unknown).toEqual(known)
  })

  it('counts an IPv6 network as one', async () => {
    const it = await bench('registered')
    await it.register('987654321', '2001:db8::1')
    it.sent.length = 0
    await it.message(new TestConnection({ ip: '2001:db8::2', port: 9 }), punch)
    expect(it.sent).toHaveLength(1)
    await it.message(new TestConnection({ ip: '2001:db8:0:1::2', port: 9 }), punch)
    expect(it.sent).toHaveLength(1)
  })

  it('serves a network no longer once its device is offline', async () => {
    const it = await bench('registered')
    it.passTime(31_000)
    await it.register('987654321', '192.0.2.9')
    it.sent.length = 0
    const [answer] = await it.message(new TestConnection({ ip: home, port: 9 }), punch)
    expect(answer?.punchHoleResponse?.otherFailure).toContain('not allowed')
  })

  it('asks other nodes once about a network, however many of its requests come before they have answered', async () => {
    const cluster = new TestCluster()
    const it = await bench('registered', { cluster })
    const asking = Array.from({ length: 600 }, (_, n) => new TestConnection({ ...abroad, port: 10_000 + n }))
    await Promise.all(asking.map((connection) => it.message(connection, punch)))
    expect(cluster.asked.filter((asked) => asked.startsWith('hasDeviceInNetwork'))).toHaveLength(1)
    for (const { received } of asking) expect(received).toHaveLength(1)
  })

  it('takes the word of other nodes for the networks that they hear, and remembers it for a moment', async () => {
    const cluster = new TestCluster()
    const it = await bench('registered', { cluster })
    cluster.devicesElsewhere.add(abroad.ip)
    await it.message(new TestConnection(abroad), punch)
    await it.message(new TestConnection(abroad), punch)
    expect(it.sent).toHaveLength(2)
    expect(cluster.asked.filter((asked) => asked.startsWith('hasDeviceInNetwork'))).toHaveLength(1)
    cluster.devicesElsewhere.clear()
    it.passTime(10_000)
    const [refused] = await it.message(new TestConnection(abroad), punch)
    expect(refused?.punchHoleResponse?.otherFailure).toContain('not allowed')
  })
})

describe('where only those who have signed in may ask', () => {
  it('refuses everybody while there are no accounts', async () => {
    const it = await bench('signed-in')
    const [answer] = await it.message(new TestConnection({ ip: home, port: 9 }), {
      punchHoleRequest: { id: laptop, licenceKey: 'KEY', token: 'forged' },
    })
    expect(answer?.punchHoleResponse?.otherFailure).toContain('without signing in')
    expect(it.sent).toEqual([])
  })

  it('serves whoever the token belongs to', async () => {
    const find = async (token: string) => (token === 'good' ? { userName: 'ada' } : undefined)
    const it = await bench('signed-in', { accounts: { find } })
    await it.message(new TestConnection(abroad), { requestRelay: { ...relay.requestRelay, token: 'good' } })
    expect(it.sent).toHaveLength(1)
    const [refused] = await it.message(new TestConnection(abroad), {
      requestRelay: { ...relay.requestRelay, token: 'bad' },
    })
    expect(refused?.relayResponse?.refuseReason).toContain('without signing in')
  })
})

describe('where anyone may ask', () => {
  it('asks nobody', async () => {
    const cluster = new TestCluster()
    const it = await bench('anyone', { cluster })
    await it.message(new TestConnection(abroad), punch)
    expect(it.sent).toHaveLength(1)
    expect(cluster.asked).not.toContainEqual(expect.stringContaining('hasDeviceInNetwork'))
  })
})
