import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { ConnectOptions, Controller, ControllerSession, Device, DeviceSession, Reaction } from '@tryst/client'
import { type DataEnd, exchange } from '../src/site/exchange.ts'
import { Site } from '../src/site/site.ts'
import { TranslatingRouter } from '../src/site/translating-router.ts'
import { within } from '../src/site/wait-until.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(60_000)

const PASSWORD = 'correct horse'
const MEBIBYTE = 1 << 20
const WHOLE_SESSION_BYTES = 64 * MEBIBYTE
const FAST = { SINGLE_BANDWIDTH: '20000', TOTAL_BANDWIDTH: '20000', LIMIT_SPEED: '20000' }

let site: Site

beforeAll(async () => {
  site = await Site.start({ hbbr: { env: FAST } })
})
afterEach(() => site?.dismissGuests())
afterAll(() => site?.close())

/** A session, seen from both ends. */
async function meet(
  controller: Controller,
  device: Device,
  options: ConnectOptions = {},
): Promise<{ ours: ControllerSession; theirs: DeviceSession; reactions: Reaction['kind'][] }> {
  const reactions: Reaction['kind'][] = []
  device.on('reaction', ({ kind }) => reactions.push(kind))
  const accepted = new Promise<DeviceSession>((resolve) => device.once('session', resolve))
  const ours = await controller.connect(device.id, { password: PASSWORD, ...options })
  return { ours, theirs: await within('the device has a session', accepted), reactions }
}

async function expectWhole(ours: DataEnd, theirs: DataEnd, bytes = WHOLE_SESSION_BYTES): Promise<void> {
  const { forth, back } = await exchange(ours, theirs, bytes)
  expect(forth.received).toBe(forth.sent)
  expect(back.received).toBe(back.sent)
}

describe('a session of 64 MiB each way', () => {
  it('goes directly from address to address after a punch', async () => {
    const device = await site.device({ password: PASSWORD, localAddress: '127.0.0.2' })
    const controller = site.controller({ localAddress: '127.0.0.3' })
    const { ours, theirs, reactions } = await meet(controller, device)
    expect({ path: ours.path, encrypted: ours.isEncrypted, reactions }).toEqual({
      path: 'direct',
      encrypted: true,
      reactions: ['punch'],
    })
    await expectWhole(ours, theirs)
  })

  it('goes through the relay, TCP on both sides', async () => {
    const device = await site.device({ password: PASSWORD, localAddress: '127.0.0.2' })
    const { ours, theirs, reactions } = await meet(site.controller(), device, { forceRelay: true })
    expect({ path: ours.path, encrypted: ours.isEncrypted, reactions }).toEqual({
      path: 'relay',
      encrypted: true,
      reactions: ['beginRelay'],
    })
    expect([ours.transport, theirs.transport]).toEqual(['tcp', 'tcp'])
    await expectWhole(ours, theirs)
  })

  it('goes through the relay, from WebSocket to TCP', async () => {
    const device = await site.device({ password: PASSWORD })
    const { ours, theirs } = await meet(site.controller({ transport: 'websocket' }), device)
    expect([ours.path, ours.transport, theirs.transport]).toEqual(['relay', 'websocket', 'tcp'])
    await expectWhole(ours, theirs)
  })

  it('goes through the relay, from TCP to WebSocket', async () => {
    const device = await site.device({ password: PASSWORD, transport: 'websocket' })
    const { ours, theirs } = await meet(site.controller({ localAddress: '127.0.0.3' }), device)
    expect([ours.path, ours.transport, theirs.transport]).toEqual(['relay', 'tcp', 'websocket'])
    await expectWhole(ours, theirs)
  })

  it('goes through the relay, WebSocket on both sides', async () => {
    const device = await site.device({ password: PASSWORD, transport: 'websocket' })
    const { ours, theirs } = await meet(site.controller({ transport: 'websocket' }), device)
    expect([ours.transport, theirs.transport]).toEqual(['websocket', 'websocket'])
    await expectWhole(ours, theirs)
  })
})

describe('the way to a device', () => {
  it('is its local address when both are behind one address', async () => {
    const device = await site.device({ password: PASSWORD, localAddress: '127.0.0.2' })
    const { ours, theirs, reactions } = await meet(site.controller({ localAddress: '127.0.0.2' }), device)
    expect([ours.path, ...reactions]).toEqual(['direct', 'offerLocalAddress'])
    await expectWhole(ours, theirs, MEBIBYTE)
  })

  it('is a relay that the device begins when its network is symmetric', async () => {
    const device = await site.device({ password: PASSWORD, localAddress: '127.0.0.2', natType: 'symmetric' })
    const { ours, theirs, reactions } = await meet(site.controller(), device)
    expect([ours.path, ...reactions]).toEqual(['relay', 'beginRelay'])
    await expectWhole(ours, theirs, MEBIBYTE)
  })

  it('is a relay that the device begins when it accepts no direct connections', async () => {
    const device = await site.device({ password: PASSWORD, localAddress: '127.0.0.2', mayListen: false })
    const { ours, theirs } = await meet(site.controller(), device)
    expect(ours.path).toBe('relay')
    await expectWhole(ours, theirs, MEBIBYTE)
  })

  it('is a relay that the controller asks for when no hole could be punched', async () => {
    const router = await TranslatingRouter.open(site, '127.0.0.5')
    const device = await site.device({ password: PASSWORD, server: { ...site.server, port: router.port } })
    const { ours, theirs, reactions } = await meet(site.controller({ localAddress: '127.0.0.3' }), device)
    expect([ours.path, ...reactions]).toEqual(['relay', 'punch', 'joinRelay'])
    await expectWhole(ours, theirs, MEBIBYTE)
  })

  it('is the relay of the device, which its owner has chosen', async () => {
    const relayServer = `127.0.0.1:${site.ports.relay}`
    const server = { ...site.server, relayServer }
    const device = await site.device({ password: PASSWORD, server, natType: 'symmetric', localAddress: '127.0.0.2' })
    const { ours, theirs } = await meet(site.controller(), device)
    expect(ours.path).toBe('relay')
    await expectWhole(ours, theirs, MEBIBYTE)
  })

  it.each(['fileTransfer', 'terminal'] as const)('is found for a session of kind %s, too', async (kind) => {
    const device = await site.device({ password: PASSWORD, localAddress: '127.0.0.2' })
    const { ours, theirs } = await meet(site.controller(), device, { kind })
    await expectWhole(ours, theirs, MEBIBYTE)
  })

  it('is open to many controllers of one device at once', async () => {
    const device = await site.device({
      password: PASSWORD,
      localAddress: '127.0.0.2',
      onSession: (session) => {
        session.onData = (bytes) => session.write(bytes)
      },
    })
    const controllers = Array.from({ length: 20 }, (_, i) => site.controller({ localAddress: `127.0.1.${i + 1}` }))
    const sessions = await Promise.all(
      controllers.map((controller, i) =>
        controller.connect(device.id, { password: PASSWORD, forceRelay: i % 2 === 0 }),
      ),
    )
    expect(sessions.map(({ path }) => path)).toEqual(controllers.map((_, i) => (i % 2 === 0 ? 'relay' : 'direct')))
  })

  it('ends for both sides when one closes', async () => {
    const device = await site.device({ password: PASSWORD, localAddress: '127.0.0.2' })
    const { ours, theirs } = await meet(site.controller(), device, { forceRelay: true })
    await ours.close('that is all')
    expect(await theirs.ended).toEqual({ kind: 'closedByPeer', text: 'that is all' })
  })
})
