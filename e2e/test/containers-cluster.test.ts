import { availableParallelism, loadavg } from 'node:os'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { DeviceSession } from '@tryst/client'
import { ComposeStack } from '../src/containers/compose-stack.ts'
import { NO_ENGINE } from '../src/containers/engine.ts'
import { exchange } from '../src/site/exchange.ts'
import { waitUntil, within } from '../src/site/wait-until.ts'

// Containers take their time on a busy machine, and building their images takes minutes.
jest.setTimeout(120_000)
const BUILD_LIMIT_MS = 900_000

const PASSWORD = 'correct horse'
const MEBIBYTE = 1 << 20

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

  async function expectRelayedSession(): Promise<void> {
    const device = await stack.device({ password: PASSWORD, mayListen: false })
    const accepted = new Promise<DeviceSession>((resolve) => device.once('session', resolve))
    const ours = await (await stack.controller()).connect(device.id, { password: PASSWORD })
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

  it('shows relays the address of the client, and not that of HAProxy', async () => {
    const log = (await stack.logs('hbbr', 'hbbr-2')).match(/New relay request \S+ from [\d.]+/g) ?? []
    const proxy = await stack.addressOf('haproxy')
    expect(log.length).toBeGreaterThan(0)
    expect(log.filter((line) => line.endsWith(` ${proxy}`))).toEqual([])
  })

  it.each(['hbbs', 'hbbs-2', 'hbbr', 'hbbr-2'])('serves on while %s is dead, and takes it back', async (service) => {
    await stack.compose('kill', service)
    await waitUntil(
      'sessions come about again',
      () =>
        expectRelayedSession().then(
          () => true,
          () => false,
        ),
      60_000,
    )
    await stack.compose('start', service)
    const [load = 0] = loadavg()
    await waitUntil(
      `${service} is healthy again`,
      async () => (await stack.states()).find(({ Service }) => Service === service)?.Health === 'healthy',
      20_000 * Math.max(1, load / availableParallelism()),
    )
  })
})
