import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { Controller, Device, DeviceSession, LinkTransport } from '@tryst/client'
import type { Finding } from '@tryst/doctor'
import { decodeClientConfig } from '@tryst/protocol'
import { asClientSetting } from '@tryst/service'
import { ComposeStack } from '../src/containers/compose-stack.ts'
import { NO_ENGINE } from '../src/containers/engine.ts'
import { runDoctor } from '../src/doctor/doctor.ts'
import { exchange } from '../src/site/exchange.ts'
import { waitUntil, within } from '../src/site/wait-until.ts'

// Containers take their time on a busy machine, and building their images takes minutes.
jest.setTimeout(120_000)
const BUILD_LIMIT_MS = 900_000

const PASSWORD = 'correct horse'
const MEBIBYTE = 1 << 20
/** A name that leads here, so that the certificate is for a name as everywhere else. */
const PUBLIC_HOST = 'localhost'

const suite = NO_ENGINE === undefined ? describe : describe.skip

suite(`docker compose up${NO_ENGINE === undefined ? '' : ` (skipped: ${NO_ENGINE})`}`, () => {
  let stack: ComposeStack
  let secondsToHealthy = 0
  let crowd = 1

  beforeAll(async () => {
    stack = await ComposeStack.prepare({ publicHost: PUBLIC_HOST })
    await stack.build()
    const [load = 0] = loadavg()
    // Who shares the machine with others is served more slowly.
    crowd = Math.max(1, load / availableParallelism())
    const startedAt = performance.now()
    await stack.up()
    secondsToHealthy = (performance.now() - startedAt) / 1000
  }, BUILD_LIMIT_MS)
  afterEach(() => stack?.dismissGuests())
  afterAll(() => stack?.remove())

  async function expectSession(
    controller: Controller,
    device: Device,
    path: 'direct' | 'relay',
    bytes = 4 * MEBIBYTE,
  ): Promise<void> {
    const accepted = new Promise<DeviceSession>((resolve) => device.once('session', resolve))
    const ours = await controller.connect(device.id, { password: PASSWORD, forceRelay: path === 'relay' })
    const theirs = await within('the device has a session', accepted)
    expect({ path: ours.path, encrypted: ours.isEncrypted }).toEqual({ path, encrypted: true })
    const { forth, back } = await exchange(ours, theirs, bytes)
    expect(forth.received).toBe(forth.sent)
    expect(back.received).toBe(back.sent)
  }

  it('is healthy within 10 s of a machine of its own, once the images are there', async () => {
    expect(secondsToHealthy).toBeLessThan(10 * crowd)
    const states = await stack.states()
    expect(Object.fromEntries(states.map(({ Service, State, Health }) => [Service, Health || State]))).toEqual({
      ...{ init: 'exited', redis: 'healthy', hbbs: 'healthy', hbbr: 'healthy', api: 'healthy', nginx: 'healthy' },
    })
  })

  it('tells the operator what clients are given, and that they refuse the certificate', async () => {
    const log = await stack.logs('init')
    const key = await stack.key()
    const server = asClientSetting(PUBLIC_HOST, stack.port)
    expect(log).toContain(`Key: ${key}\nID server: ${server}\n`)
    const [, text = ''] = /^Configuration text: (\S+)$/m.exec(log) ?? []
    expect(decodeClientConfig(text)).toEqual({ host: server, key, api: '', relay: '' })
    expect(log.match(/^hint: stock clients refuse the certificate \(self-signed\)/gm)).toHaveLength(1)
  })

  it('makes direct sessions of devices that register over UDP', async () => {
    const device = await stack.device({ password: PASSWORD })
    // Published ports hide addresses: all look like one network, whose members meet by their own addresses.
    await expectSession(await stack.controller(), device, 'direct')
  })

  it('relays sessions', async () => {
    const device = await stack.device({ password: PASSWORD, mayListen: false })
    await expectSession(await stack.controller(), device, 'relay', 16 * MEBIBYTE)
  })

  it('knows who is online', async () => {
    const device = await stack.device()
    expect(await (await stack.controller()).queryOnline([device.id, '100000001'])).toEqual(
      new Map([
        [device.id, true],
        ['100000001', false],
      ]),
    )
  })

  it.each<readonly [LinkTransport, LinkTransport]>([
    ['websocket', 'websocket'],
    ['tcp', 'websocket'],
    ['websocket', 'tcp'],
  ])('relays sessions of a controller on %s to a device on %s, by address', async (ours, theirs) => {
    const server = { ...(await stack.server()), host: '127.0.0.1', relayServer: `127.0.0.1:${stack.port + 1}` }
    const device = await stack.device({ server, password: PASSWORD, transport: theirs, registration: 'udp' })
    await expectSession(await stack.controller({ server, transport: ours }), device, 'relay')
  })

  it('serves everything over TLS on one port to those who trust its certificate', async () => {
    const before = getCACertificates('default')
    const origin = `wss://${PUBLIC_HOST}:${stack.httpsPort}/ws`
    const server = { ...(await stack.server()), relayServer: `${origin}/relay` }
    const secure = { server: { ...server, host: `${origin}/id` }, transport: 'websocket' } as const
    await expect((await stack.controller(secure)).connect('100000001')).rejects.toThrow(
      'Failed to connect to rendezvous',
    )
    setDefaultCACertificates([...before, await stack.authority()])
    try {
      // Its registration has no way through a proxy, its sessions have.
      const device = await stack.device({
        server: { ...server, host: '127.0.0.1' },
        password: PASSWORD,
        transport: 'websocket',
        registration: 'udp',
      })
      await expectSession(await stack.controller(secure), device, 'relay', 16 * MEBIBYTE)
    } finally {
      setDefaultCACertificates(before)
    }
  })

  it('shows a status page and answers the API, on every door', async () => {
    for (const origin of [`http://${PUBLIC_HOST}:${stack.port - 2}`, `http://${PUBLIC_HOST}:${stack.httpPort}`]) {
      expect(await (await fetch(`${origin}/`)).text()).toContain(await stack.key())
      expect(await (await fetch(`${origin}/api/login-options`)).json()).toEqual([])
    }
  })

  it('is in order as far as the doctor can tell, from this machine and through nginx', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tryst-doctor-'))
    try {
      const authority = join(folder, 'ca.pem')
      writeFileSync(authority, await stack.authority())
      const flags = ['--port', `${stack.port}`, '--wss', `${PUBLIC_HOST}:${stack.httpsPort}`]
      const run = await runDoctor([PUBLIC_HOST, ...flags], { env: { NODE_EXTRA_CA_CERTS: authority } })
      const faults = run.findings.filter(({ severity }) => severity !== 'ok')
      expect({ faults, leftOut: run.leftOut, status: run.status }).toEqual({ faults: [], leftOut: [], status: 0 })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('has the doctor in its images', async () => {
    const ask = `tryst doctor --json --port ${stack.port} hbbs || true`
    const { findings } = JSON.parse(await stack.exec('hbbs', 'sh', '-c', ask)) as { findings: Finding[] }
    // To other machines, which the containers are to one another, the public name of this one means themselves.
    expect(findings.filter(({ severity }) => severity !== 'ok').map(({ code }) => code)).toEqual(['relay-loopback'])
    expect(findings.map(({ what }) => what)).toContain('a device registers')
  })

  it('keeps key and devices when it is taken down and up again', async () => {
    const key = await stack.key()
    const device = await stack.device({ password: PASSWORD })
    await stack.down()
    await stack.up()
    expect(await stack.key()).toBe(key)
    const controller = await stack.controller()
    await waitUntil(
      'the device is back',
      async () => (await controller.queryOnline([device.id]))?.get(device.id),
      40_000,
    )
    await expectSession(controller, device, 'direct')
  })

  it('runs with nothing that it does not need', async () => {
    for (const service of ['redis', 'hbbs', 'hbbr', 'api', 'nginx']) {
      expect(await stack.settings(service)).toEqual({
        ...{ user: '1000:1000', readOnly: true, dropped: ['ALL'], privileged: false, added: null },
      })
    }
  })

  it('tells nobody its secrets in logs', async () => {
    const url = new URL((await stack.exec('hbbs', 'cat', '/run/tryst/redis-url')).trim())
    const secretKey = (await stack.exec('hbbs', 'cat', '/data/id_ed25519')).trim()
    const logs = await stack.logs()
    expect(url.password).toMatch(/^[0-9a-f]{64}$/)
    expect([logs.includes(url.password), logs.includes(secretKey.slice(0, 40))]).toEqual([false, false])
  })
})
