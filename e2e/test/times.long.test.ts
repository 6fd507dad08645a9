import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { ConnectError } from '@tryst/client'
import { RawConnection } from '../src/site/raw-connection.ts'
import { RawDevice } from '../src/site/raw-device.ts'
import { Site } from '../src/site/site.ts'

jest.setTimeout(120_000)

type RelayPort = 'relay' | 'relayWebSocket'
const RELAY_PORTS: readonly RelayPort[] = ['relay', 'relayWebSocket']

let site: Site

beforeAll(async () => {
  site = await Site.start()
})
afterEach(() => site?.dismissGuests())
afterAll(() => site?.close())

/** Milliseconds until the server ended the connection. */
async function lifeOf(connection: RawConnection): Promise<number> {
  const startedMs = performance.now()
  await connection.ended(60_000)
  return performance.now() - startedMs
}

const between = (value: number, least: number, most: number) => {
  expect(value).toBeGreaterThan(least)
  expect(value).toBeLessThan(most)
}

describe('the relay', () => {
  it('ends connections after 30 s: of those who say nothing, wait in vain or are quiet together', async () => {
    const quietPairs = RELAY_PORTS.flatMap((first) => RELAY_PORTS.map((second) => [first, second] as const))
    const lives = await Promise.all([
      ...RELAY_PORTS.map(async (port) => lifeOf(await RawConnection.open(site, port))),
      ...RELAY_PORTS.map(async (port) => {
        const half = await RawConnection.open(site, port)
        half.send({ requestRelay: { uuid: randomUUID(), licenceKey: site.key } })
        return lifeOf(half)
      }),
      ...quietPairs.map(async (ports) => {
        const request = { requestRelay: { uuid: randomUUID(), licenceKey: site.key } }
        const halves = await Promise.all(ports.map((port) => RawConnection.open(site, port)))
        for (const half of halves) half.send(request)
        const [first, second] = await Promise.all(halves.map(lifeOf))
        return Math.min(first as number, second as number)
      }),
    ])
    for (const lifeMs of lives) between(lifeMs, 29_000, 36_000)
  })
})

describe('the ID server', () => {
  it('counts a device as offline when nothing was heard of it for 30 s', async () => {
    const device = await RawDevice.online(site)
    const controller = site.controller()
    const startedMs = performance.now()
    while ((await controller.queryOnline([device.id]))?.get(device.id)) {
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
    between(performance.now() - startedMs, 28_000, 34_000)
    const error = await controller.connect(device.id).catch((reason: ConnectError) => reason)
    expect(error).toMatchObject({
      failure: 'offline',
      message: expect.stringMatching(/^Remote desktop is offline \([0-9A-Z]{6}\)$/),
    })
  })

  it('keeps a device online by heartbeats alone', async () => {
    const device = await site.device()
    const controller = site.controller()
    const startedMs = performance.now()
    while (performance.now() - startedMs < 50_000) {
      expect((await controller.queryOnline([device.id]))?.get(device.id)).toBe(true)
      await new Promise((resolve) => setTimeout(resolve, 1_000))
    }
  })

  it('ends connections after 30 s on which nothing is said', async () => {
    const ports = ['main', 'natTest', 'webSocket'] as const
    const lives = await Promise.all(ports.map(async (port) => lifeOf(await RawConnection.open(site, port))))
    for (const lifeMs of lives) between(lifeMs, 29_000, 34_000)
  })

  it('keeps a controller that waits for an answer while it repeats its request', async () => {
    const device = await RawDevice.online(site)
    const controller = await RawConnection.open(site, 'main', { from: '127.0.0.3' })
    const request = { punchHoleRequest: { id: device.id, licenceKey: site.key, natType: 2 } }
    const handles = new Set<string>()
    for (let i = 0; i < 3; i++) {
      controller.send(request)
      const { punchHole } = await device.next()
      handles.add(Buffer.from(punchHole?.socketAddr ?? []).toString('hex'))
      await new Promise((resolve) => setTimeout(resolve, 9_000))
      await device.heartbeat()
    }
    expect(handles.size).toBe(1)
    const [handle = ''] = handles
    const uuid = randomUUID()
    const answer = await RawConnection.open(site, 'main')
    const socketAddr = Buffer.from(handle, 'hex')
    answer.send({ relayResponse: { socketAddr, uuid, relayServer: 'a:1', id: device.id, version: '1.4.9' } })
    expect((await controller.next()).relayResponse?.uuid).toBe(uuid)
  })
})
