import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { Device } from '@tryst/client'
import { ComposeStack } from '../src/containers/compose-stack.ts'
import { NO_ENGINE } from '../src/containers/engine.ts'
import { carries, meetAtRelay, PASSWORD, trust } from '../src/containers/meet.ts'
import { waitUntil } from '../src/site/wait-until.ts'

const IDLE_MS = 300_000
const BUILD_LIMIT_MS = 900_000

jest.setTimeout(IDLE_MS + 120_000)

const suite = NO_ENGINE === undefined ? describe : describe.skip

suite(`a device that comes through nginx only${NO_ENGINE === undefined ? '' : ` (skipped: ${NO_ENGINE})`}`, () => {
  let stack: ComposeStack
  let distrust: (() => void) | undefined

  beforeAll(async () => {
    stack = await ComposeStack.prepare({ publicHost: 'localhost' })
    await stack.build()
    await stack.up()
    distrust = trust(await stack.authority())
  }, BUILD_LIMIT_MS)
  afterAll(async () => {
    distrust?.()
    await stack?.remove()
  })

  it('is reached after five minutes in which nobody wanted anything of it, by controllers that come the same way', async () => {
    const server = await stack.server()
    const clients = [
      { ...server, webSocketScheme: 'wss', webSocketPort: stack.httpsPort },
      { ...server, webSocketScheme: 'ws', webSocketPort: stack.httpPort },
    ] as const
    const lost: string[] = []
    const devices: Device[] = []
    for (const through of clients) {
      const device = await stack.device({ server: through, transport: 'websocket', password: PASSWORD })
      device.on('status', (status) => lost.push(status))
      devices.push(device)
    }
    const idleUntil = performance.now() + IDLE_MS
    await waitUntil('five minutes are over', () => performance.now() > idleUntil, 2 * IDLE_MS)
    expect(lost).toEqual([])
    for (const device of devices) {
      for (const through of clients) {
        const controller = await stack.controller({ server: through, transport: 'websocket' })
        expect((await controller.queryOnline([device.id]))?.get(device.id)).toBe(true)
        expect(await carries(await meetAtRelay(controller, device), 1 << 20)).toBe(true)
      }
    }
  })
})
