import { availableParallelism, loadavg } from 'node:os'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { type Controller, type Device, type DeviceOptions, type DeviceSession, echo } from '@tryst/client'
import { Pulse } from '../src/cluster/pulse.ts'
import { ComposeStack } from '../src/containers/compose-stack.ts'
import { NO_ENGINE } from '../src/containers/engine.ts'
import { secretsIn } from '../src/containers/secrets.ts'
import { exchange } from '../src/site/exchange.ts'
import { report } from '../src/site/report.ts'
import { waitUntil, within } from '../src/site/wait-until.ts'

// Containers take their time on a busy machine, and building their images takes minutes.
jest.setTimeout(120_000)
const BUILD_LIMIT_MS = 900_000

const PASSWORD = 'correct horse'
const MEBIBYTE = 1 << 20
const DEVICES = 6
const ATTEMPT_MS = 8_000
/** From a death to everything being served again. */
const RECOVERY_MS = 20_000

/** Who shares the machine with others is served more slowly. */
const crowd = () => Math.max(1, (loadavg()[0] ?? 0) / availableParallelism())

const suite = NO_ENGINE === undefined ? describe : describe.skip

suite(`docker-compose.cluster.yml${NO_ENGINE === undefined ? '' : ` (skipped: ${NO_ENGINE})`}`, () => {
  let stack: ComposeStack

  beforeAll(async () => {
    stack = await ComposeStack.prepare({ files: ['docker-compose.yml', 'docker-compose.cluster.yml'] })
    await stack.build()
    await stack.up()
  }, BUILD_LIMIT_MS)
  afterEach(() => stack?.dismissGuests())
  afterAll(() => stack?.remove())

  async function expectRelayedSession(client: Pick<DeviceOptions, 'transport' | 'registration'> = {}): Promise<void> {
    const device = await stack.device({ ...client, password: PASSWORD, mayListen: false })
    const accepted = new Promise<DeviceSession>((resolve) => device.once('session', resolve))
    const { transport = 'tcp' } = client
    const ours = await (await stack.controller({ transport })).connect(device.id, { password: PASSWORD })
    const theirs = await within('the device has a session', accepted)
    expect(ours.path).toBe('relay')
    const { forth, back } = await exchange(ours, theirs, 4 * MEBIBYTE)
    expect(forth.received).toBe(forth.sent)
    expect(back.received).toBe(back.sent)
  }

  it('relays sessions through HAProxy, whichever relay each side comes to', async () => {
    for (let i = 0; i < 4; i++) await expectRelayedSession()
    const logs = await Promise.all(['hbbr', 'hbbr-2'].map((service) => stack.logs(service)))
    expect(logs.map((log) => log.includes('got paired') || log.includes('got joined'))).toEqual([true, true])
  })

  it('relays sessions of WebSocket clients through HAProxy', async () => {
    // By address clients find the relay's own port for WebSocket, which is HAProxy's.
    await expectRelayedSession({ transport: 'websocket', registration: 'udp' })
  })

  it('shows relays the address of the client, and not that of HAProxy', async () => {
    const log = (await stack.logs('hbbr', 'hbbr-2')).match(/New relay request \S+ from [\d.]+/g) ?? []
    const proxy = await stack.addressOf('haproxy')
    expect(log.length).toBeGreaterThan(0)
    expect(log.filter((line) => line.endsWith(` ${proxy}`))).toEqual([])
  })

  /** Once, and over again until it works. @returns a session that carries bytes all the time */
  async function reach(controller: Controller, device: Device): Promise<Pulse> {
    const attempt = () => controller.connect(device.id, { password: PASSWORD, forceRelay: true })
    return waitUntil(
      `device ${device.id} is reached`,
      () =>
        within('a session', attempt(), ATTEMPT_MS).then(
          (session) => Pulse.of(session),
          () => undefined,
        ),
      RECOVERY_MS * crowd(),
    )
  }

  const healthy = (service: string) =>
    waitUntil(
      `${service} is healthy again`,
      async () => (await stack.states()).find(({ Service }) => Service === service)?.Health === 'healthy',
      RECOVERY_MS * crowd(),
    )

  /** Devices that are online, and a session with each. */
  async function startFleet() {
    const controller = await stack.controller()
    const devices = await Promise.all(
      Array.from({ length: DEVICES }, () => stack.device({ password: PASSWORD, mayListen: false, onSession: echo })),
    )
    return { controller, devices, pulses: await Promise.all(devices.map((device) => reach(controller, device))) }
  }

  const endedOf = async (pulses: readonly Pulse[]): Promise<number> =>
    (await Promise.allSettled(pulses.map((pulse) => pulse.stop()))).filter(({ status }) => status === 'rejected').length

  it.each(['hbbs', 'hbbs-2', 'hbbr', 'hbbr-2'])('serves on while %s is dead, and takes it back', async (service) => {
    const { controller, devices, pulses } = await startFleet()
    await stack.compose('kill', service)
    const beganMs = performance.now()
    const later = await Promise.all(devices.map((device) => reach(controller, device)))
    const seconds = (performance.now() - beganMs) / 1000
    const ended = await endedOf(pulses)
    report({ [`seconds until all devices are reached without ${service}`]: seconds, 'sessions that ended': ended })
    // ID servers carry no sessions. Through HAProxy the halves of a session come to any relay, so it needs both.
    if (service.startsWith('hbbs')) expect(ended).toBe(0)
    await stack.compose('start', service)
    await healthy(service)
    expect(await endedOf(later)).toBe(0)
  })

  it.each(['redis', 'haproxy', 'hbbs-network', 'nginx', 'api'])(
    'recovers from the death of %s, of which there is one',
    async (service) => {
      const { controller, devices, pulses } = await startFleet()
      await stack.compose('kill', service)
      const beganMs = performance.now()
      await stack.compose('start', service)
      const later = await Promise.all(devices.map((device) => reach(controller, device)))
      await healthy(service)
      report({ [`seconds until all is well after ${service}`]: (performance.now() - beganMs) / 1000 })
      expect([await endedOf(pulses), await endedOf(later)]).toEqual([service === 'haproxy' ? DEVICES : 0, 0])
    },
  )

  it('runs with nothing that it does not need', async () => {
    const services = (await stack.states()).map(({ Service }) => Service)
    expect(services).toEqual(expect.arrayContaining(['hbbs-network', 'hbbs-2', 'hbbr-2', 'haproxy', 'init']))
    for (const service of services) {
      expect([service, await stack.settings(service)]).toEqual([
        service,
        { user: '1000:1000', readOnly: true, dropped: ['ALL'], privileged: false, added: null },
      ])
    }
  })

  it('tells nobody its secrets in logs, whatever happens', async () => {
    expect(await secretsIn(await stack.logs(), stack)).toEqual([])
  })
})
