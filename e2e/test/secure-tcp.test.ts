import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import {
  askApi,
  type Controller,
  type Device,
  type DeviceSession,
  type Network,
  nodeDialler,
  scaledClock,
  systemClock,
} from '@tryst/client'
import { Cluster } from '../src/cluster/cluster.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { exchange } from '../src/site/exchange.ts'
import { freePort } from '../src/site/free-ports.ts'
import { SITE_HOST, Site } from '../src/site/site.ts'
import { waitUntil, within } from '../src/site/wait-until.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(120_000)

const PASSWORD = 'correct horse'
const MEBIBYTE = 1 << 20
const OTHER_KEY = 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg='
const FAST = { SINGLE_BANDWIDTH: '20000', TOTAL_BANDWIDTH: '20000', LIMIT_SPEED: '20000' }
const token = 'a-token'

/** A session, with bytes there and back. Resolves with it open. */
async function expectSession(controller: Controller, device: Device, path: 'direct' | 'relay') {
  const accepted = new Promise<DeviceSession>((resolve) => device.once('session', resolve))
  const ours = await controller.connect(device.id, { password: PASSWORD, forceRelay: path === 'relay' })
  const theirs = await within('the device has a session', accepted)
  expect({ path: ours.path, encrypted: ours.isEncrypted }).toEqual({ path, encrypted: true })
  const { forth, back } = await exchange(ours, theirs, MEBIBYTE)
  expect([forth.received, back.received]).toEqual([forth.sent, back.sent])
  return ours
}

/** All figures of this name, labels and all. */
async function figures(port: number, name: string): Promise<Record<string, number>> {
  const text = await (await fetch(`http://${SITE_HOST}:${port}/metrics`)).text()
  const lines = text.split('\n').filter((line) => new RegExp(`^${name}[ {]`).test(line))
  return Object.fromEntries(
    lines.map((line) => [/"(.*)"/.exec(line)?.[1] ?? '', Number(line.slice(line.lastIndexOf(' ')))]),
  )
}

describe('clients that are signed in to an account', () => {
  let site: Site
  let metricsPort: number
  beforeAll(async () => {
    metricsPort = await freePort()
    const env = { METRICS_BIND: `${SITE_HOST}:${metricsPort}`, API_URL: 'none' }
    site = await Site.start({ hbbs: { env }, hbbr: { env: FAST } })
  })
  afterEach(() => site?.dismissGuests())
  afterAll(() => site?.close())

  it.each(['direct', 'relay'] as const)('have their %s session counted for as long as it lives', async (path) => {
    const device = await site.device({ password: PASSWORD, localAddress: '127.0.0.2' })
    const session = await expectSession(site.controller({ localAddress: '127.0.0.3', token }), device, path)
    const live = async () => (await figures(metricsPort, 'tryst_live_sessions'))['']
    await waitUntil('the session counts', async () => (await live()) === 1)
    await session.close()
    await waitUntil('no session counts', async () => (await live()) === 0)
  })

  it('have their session counted over a WebSocket, too, which is not encrypted here', async () => {
    const device = await site.device({ password: PASSWORD, localAddress: '127.0.0.2' })
    await expectSession(site.controller({ transport: 'websocket', token }), device, 'relay')
    await waitUntil('the session counts', async () => (await figures(metricsPort, 'tryst_live_sessions'))[''] === 1)
  })

  it('reach a device by a relay that they ask for', async () => {
    const device = await site.device({ password: PASSWORD, localAddress: '127.0.0.2', mayListen: false })
    await expectSession(site.controller({ localAddress: '127.0.0.3', token }), device, 'relay')
  })

  it('reach a device that registers over TCP alone', async () => {
    const device = await site.device({ password: PASSWORD, localAddress: '127.0.0.2', registration: 'connection' })
    await expectSession(site.controller({ localAddress: '127.0.0.3', token }), device, 'direct')
  })

  it('are told at once that they have the key of another server', async () => {
    const device = await site.device({ password: PASSWORD })
    const controller = site.controller({ token, server: { ...site.server, key: OTHER_KEY } })
    await expect(controller.connect(device.id, { password: PASSWORD })).rejects.toMatchObject({
      message: 'Failed to secure tcp: Signature mismatch in key exchange: Please try later',
      retries: false,
    })
    const outcomes = await figures(metricsPort, 'tryst_key_exchanges_total')
    expect(outcomes).toMatchObject({ refused: 0, unreadable: 0 })
    expect(outcomes.unanswered).toBeGreaterThan(0)
  })

  it('are told at once what is wrong with a device, too', async () => {
    await expect(site.controller({ token }).connect('100000001')).rejects.toMatchObject({
      message: expect.stringMatching(/^ID does not exist \([0-9A-Z]{6}\)$/),
    })
  })

  it('wait in vain at a server that has no secret key', async () => {
    const other = await Site.start({ hbbs: { args: ['-k', 'just a text'] }, programs: ['hbbs'] })
    try {
      const server = { host: SITE_HOST, port: other.ports.main, key: OTHER_KEY }
      const controller = other.controller({ token, server, clock: scaledClock(0.1) })
      await expect(controller.connect('100000001')).rejects.toMatchObject({
        message: 'Failed to secure tcp: deadline has elapsed: Please try later',
      })
    } finally {
      await other.close()
    }
  })

  it('whose calls to the API go through the ID server hear at once that there is none', async () => {
    const network: Network = { server: site.server, dialler: nodeDialler, transport: 'tcp', clock: systemClock }
    const startedMs = performance.now()
    const asked = askApi(network, { method: 'POST', path: '/api/heartbeat', body: Buffer.from('{}') })
    await expect(asked).rejects.toThrow('This server has no API')
    // Instead of the 18 s that the client waits where no server speaks first.
    expect(performance.now() - startedMs).toBeLessThan(5_000)
  })
})

describe('calls to the API through the ID server', () => {
  it('are answered by the API, of any number of clients at once', async () => {
    const site = await Site.start({ programs: ['hbbs', 'api'] })
    try {
      const network: Network = { server: site.server, dialler: nodeDialler, transport: 'tcp', clock: systemClock }
      const headers = [{ name: 'Content-Type', value: 'application/json' }]
      const body = Buffer.from(JSON.stringify({ id: '271828182', uuid: 'eA==', ver: 1_004_090 }))
      const request = { method: 'POST', path: '/api/heartbeat', headers, body }
      const answers = await Promise.all(Array.from({ length: 40 }, () => askApi(network, request)))
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    } finally {
      await site.close()
    }
  })
})

const suite = NO_REDIS === undefined ? describe : describe.skip

suite(`with two ID servers on one Redis${NO_REDIS === undefined ? '' : ` (${NO_REDIS})`}`, () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start({ env: FAST })
  })
  afterEach(() => cluster?.dismissGuests())
  afterAll(() => cluster?.close())

  it.each([
    ['direct', 0, 1],
    ['relay', 0, 1],
    ['relay', 1, 1],
  ] as const)('a %s session to a device of node %i is made for a controller of node %i', async (path, at, from) => {
    const device = await cluster.device(at, { password: PASSWORD, localAddress: '127.0.0.2' })
    const session = await expectSession(cluster.controller(from, { localAddress: '127.0.0.3', token }), device, path)
    const live = () => cluster.hbbs[from]?.figure('tryst_live_sessions')
    await waitUntil('the session counts', async () => (await live()) === 1)
    await session.close()
    await waitUntil('no session counts', async () => (await live()) === 0)
  })
})
