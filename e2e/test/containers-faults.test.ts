import { availableParallelism, loadavg } from 'node:os'
import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { type Controller, type Device, echo } from '@tryst/client'
import { Pulse } from '../src/cluster/pulse.ts'
import { ComposeStack } from '../src/containers/compose-stack.ts'
import { NO_ENGINE } from '../src/containers/engine.ts'
import { PASSWORD, trust } from '../src/containers/meet.ts'
import { secretsIn } from '../src/containers/secrets.ts'
import { report } from '../src/site/report.ts'
import { waitUntil, within } from '../src/site/wait-until.ts'

// Containers take their time on a busy machine, and building their images takes minutes.
jest.setTimeout(180_000)
const BUILD_LIMIT_MS = 900_000

/** From the start of a container that was killed to everything being as before. */
const RECOVERY_MS = 20_000
const ATTEMPT_MS = 8_000

/** Sessions that run while a container is killed, by the way that their controllers came. */
const SURVIVORS = {
  redis: ['TCP', 'WSS'],
  hbbs: ['TCP', 'WSS'],
  api: ['TCP', 'WSS'],
  nginx: ['TCP'],
  hbbr: [],
} as const

const suite = NO_ENGINE === undefined ? describe : describe.skip

suite(`docker compose up, with faults${NO_ENGINE === undefined ? '' : ` (skipped: ${NO_ENGINE})`}`, () => {
  let stack: ComposeStack
  let distrust: (() => void) | undefined
  let device: Device
  let controllers: Readonly<Record<'TCP' | 'WSS', Controller>>

  beforeAll(async () => {
    stack = await ComposeStack.prepare({ publicHost: 'localhost' })
    await stack.build()
    await stack.up()
    distrust = trust(await stack.authority())
    // The same ones all the time: what users have must be served again, without their doing anything.
    device = await stack.device({ password: PASSWORD, mayListen: false, onSession: echo })
    const server = await stack.server()
    const secure = { ...server, webSocketScheme: 'wss', webSocketPort: stack.httpsPort } as const
    controllers = {
      TCP: await stack.controller({ server }),
      WSS: await stack.controller({ server: secure, transport: 'websocket' }),
    }
  }, BUILD_LIMIT_MS)
  afterAll(async () => {
    distrust?.()
    await stack?.remove()
  })
  beforeEach(() => waitUntil('everything is served', isServed, 60_000))

  async function startPulse(door: 'TCP' | 'WSS'): Promise<Pulse> {
    const session = controllers[door].connect(device.id, { password: PASSWORD, forceRelay: true })
    return Pulse.of(await within(`a session over ${door}`, session, ATTEMPT_MS))
  }

  /** The device is shown as online, sessions come about on both ways, and the status page is there. */
  async function isServed(): Promise<boolean> {
    try {
      if (!(await controllers.TCP.queryOnline([device.id]))?.get(device.id)) return false
      for (const door of ['TCP', 'WSS'] as const) await (await startPulse(door)).stop()
      const page = await fetch(`https://localhost:${stack.httpsPort}/`, { signal: AbortSignal.timeout(ATTEMPT_MS) })
      return (await page.text()).includes(await stack.key())
    } catch {
      return false
    }
  }

  /** Does something to a container while sessions run. @returns which of them went on, and how long all took to be well */
  async function recover(service: string, mend: () => Promise<unknown>, harm?: () => Promise<unknown>) {
    const pulses = { TCP: await startPulse('TCP'), WSS: await startPulse('WSS') }
    await harm?.()
    const beganMs = performance.now()
    await mend()
    const [load = 0] = loadavg()
    const limitMs = RECOVERY_MS * Math.max(1, load / availableParallelism())
    await waitUntil(`everything is served after ${service}`, isServed, limitMs)
    report({ [`seconds until all is served after ${service}`]: (performance.now() - beganMs) / 1000 })
    await waitUntil('all containers are healthy', async () => {
      const states = await stack.states()
      return states.every(({ Service, Health }) => Service === 'init' || Health === 'healthy')
    })
    const outcomes = Object.entries(pulses).map(async ([door, pulse]) =>
      pulse.stop().then(
        () => door,
        () => undefined,
      ),
    )
    return (await Promise.all(outcomes)).filter((door) => door !== undefined)
  }

  it.each(['redis', 'hbbs', 'hbbr', 'api', 'nginx'] as const)('recovers from the death of %s', async (service) => {
    const survivors = await recover(
      service,
      () => stack.compose('start', service),
      () => stack.compose('kill', service),
    )
    expect(survivors).toEqual(SURVIVORS[service])
  })

  it('recovers when the engine starts again what died by itself', async () => {
    const survivors = await recover('a crash of hbbs', async () => {
      // All but its first process, which then ends; the command with them.
      await stack.exec('hbbs', 'sh', '-c', 'kill -KILL -1').catch(() => undefined)
    })
    expect(survivors).toEqual(['TCP', 'WSS'])
  })

  it('goes on while Redis is restarted', async () => {
    expect(await recover('redis restarted', () => stack.compose('restart', 'redis'))).toEqual(['TCP', 'WSS'])
  })

  it('tells nobody its secrets in logs, whatever happens', async () => {
    const logs = await stack.logs()
    expect(logs.length).toBeGreaterThan(1_000)
    expect(await secretsIn(logs, stack)).toEqual([])
  })
})
