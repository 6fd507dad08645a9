import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { DeviceSession } from '@tryst/client'
import { decodeRendezvous, encodeRendezvous, type OutgoingRendezvousMessage, unmangleAddress } from '@tryst/protocol'
import { exchange } from '../src/site/exchange.ts'
import { LoadBalancer, type LoadBalancerOptions, NO_HAPROXY } from '../src/site/load-balancer.ts'
import { RawDevice } from '../src/site/raw-device.ts'
import { Site } from '../src/site/site.ts'
import { TcpClient } from '../src/transcripts/tcp-client.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(60_000)

const BALANCER = '127.0.0.5'
const PROXY = '127.0.0.9'
const CLIENT = '127.0.0.30'
const BLOCKED = '127.0.0.31'

let site: Site

beforeAll(async () => {
  const env = { BIND: '127.0.0.1', PUBLIC_HOST: BALANCER, TRUSTED_PROXIES: PROXY, PROXY_PROTOCOL: 'Y' }
  site = await Site.start({ hbbs: { env: { ...env, CONNECTIONS_PER_SOURCE: '3' } }, hbbr: { env } })
  writeFileSync(join(site.folder, 'blocklist.txt'), `${BLOCKED}\n`)
  await site.restart('hbbr')
})
afterEach(() => site?.dismissGuests())
afterAll(() => site?.close())

async function open(from: string, host: string, port: number): Promise<TcpClient> {
  const client = site.guest(new TcpClient(from, { ip: host, port }))
  await client.open()
  return client
}

async function ask(client: TcpClient, message: OutgoingRendezvousMessage) {
  client.send(encodeRendezvous(message))
  const answer = await client.takeMessage(5_000)
  if (!answer) throw new Error('no answer came')
  return decodeRendezvous(answer)
}

describe.each(['v1', 'v2'] as const)('a load balancer that sends headers of %s', (version) => {
  const header = Buffer.from(
    version === 'v1'
      ? 'PROXY TCP4 203.0.113.7 192.0.2.1 50000 21116\r\n'
      : '0d0a0d0a000d0a515549540a2111000ccb007107c0000201c350527c',
    version === 'v1' ? 'latin1' : 'hex',
  )

  it('gives clients their own addresses', async () => {
    const client = await open(PROXY, '127.0.0.1', site.ports.natTest)
    client.sendBytes(header)
    expect((await ask(client, { testNatRequest: { serial: 0 } })).testNatResponse?.port).toBe(50_000)
    const device = await RawDevice.online(site)
    const controller = await open(PROXY, '127.0.0.1', site.ports.main)
    controller.sendBytes(header)
    controller.send(encodeRendezvous({ punchHoleRequest: { id: device.id, licenceKey: site.key, natType: 1 } }))
    const { punchHole } = await device.next()
    expect(unmangleAddress(punchHole?.socketAddr ?? new Uint8Array(0))).toMatchObject({
      ip: '203.0.113.7',
      port: 50_000,
    })
  })
})

describe('a proxy that is trusted and says nothing of its client', () => {
  it.each(['main', 'natTest', 'relay'] as const)('is closed on port %s, and told of', async (port) => {
    const client = await open(PROXY, '127.0.0.1', site.ports[port])
    client.send(encodeRendezvous({ testNatRequest: { serial: 0 } }))
    expect(await client.ended(5_000)).toBeDefined()
    const line = await (port === 'relay' ? site.hbbr : site.hbbs).logged(/has no PROXY protocol header/)
    expect(line).toMatchObject({ reason: 'no_header', source: PROXY, remedy: expect.stringContaining('send-proxy') })
  })

  it('has no say when it is not trusted', async () => {
    const client = await open('127.0.0.8', '127.0.0.1', site.ports.natTest)
    const answer = await ask(client, { testNatRequest: { serial: 0 } })
    expect(answer.testNatResponse?.port).toBe(client.address.port)
  })
})

const withHaproxy = NO_HAPROXY === undefined ? describe.each : describe.skip.each
const reason = NO_HAPROXY === undefined ? '' : ` (${NO_HAPROXY})`

withHaproxy(['send-proxy', 'send-proxy-v2'] as const)(`HAProxy with %s${reason}`, (header) => {
  let balancer: LoadBalancer
  const options = (): LoadBalancerOptions => {
    const { main, natTest, relay } = site.ports
    return { address: BALANCER, from: PROXY, ports: [main, natTest, relay], header }
  }

  beforeAll(async () => {
    balancer = await LoadBalancer.start(options())
  })
  afterAll(() => balancer?.close())

  const viaBalancer = () => ({ server: { ...site.server, host: BALANCER }, localAddress: CLIENT })

  it("tells devices the controller's own address and port", async () => {
    const device = await RawDevice.online(site)
    const controller = await open(CLIENT, BALANCER, site.ports.main)
    controller.send(encodeRendezvous({ punchHoleRequest: { id: device.id, licenceKey: site.key, natType: 1 } }))
    const { punchHole } = await device.next()
    expect(unmangleAddress(punchHole?.socketAddr ?? new Uint8Array(0))).toMatchObject(controller.address)
    const natTest = await open(CLIENT, BALANCER, site.ports.natTest)
    const answer = await ask(natTest, { testNatRequest: { serial: 0 } })
    expect(answer.testNatResponse?.port).toBe(natTest.address.port)
  })

  it.each([true, false])('carries whole sessions, relayed: %s', async (forceRelay) => {
    const device = await site.device({ password: 'pw', localAddress: '127.0.0.32' })
    const accepted = new Promise<DeviceSession>((resolve) => device.once('session', resolve))
    const ours = await site.controller(viaBalancer()).connect(device.id, { password: 'pw', forceRelay })
    expect(ours.isEncrypted).toBe(true)
    const theirs = await accepted
    const { forth, back } = await exchange(ours, theirs, 16 << 20)
    expect(forth.received).toBe(forth.sent)
    expect(back.received).toBe(back.sent)
    if (forceRelay) await site.hbbr.logged(new RegExp(`from ${CLIENT.replaceAll('.', '\\.')}:\\d+`))
  })

  it('lets each client have its own share, and its own place on the block list', async () => {
    const answers = await Promise.all(
      ['127.0.0.40', '127.0.0.41', '127.0.0.42'].map(async (ip) => {
        const some = await Promise.all([1, 2, 3].map(() => open(ip, BALANCER, site.ports.natTest)))
        return Promise.all(some.map((client) => ask(client, { testNatRequest: { serial: 0 } })))
      }),
    )
    expect(answers.flat().every(({ testNatResponse }) => testNatResponse !== undefined)).toBe(true)
    const blocked = await open(BLOCKED, BALANCER, site.ports.relay)
    expect(await blocked.ended(5_000)).toBeDefined()
  })
})
