import { networkInterfaces } from 'node:os'
import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { type Controller, createDeviceIdentity, Device, type DeviceIdentity, type ServerSettings } from '@tryst/client'
import { rendezvous } from '@tryst/protocol'
import { Cluster } from '../src/cluster/cluster.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { RawDevice } from '../src/site/raw-device.ts'
import { Site } from '../src/site/site.ts'
import { waitUntil } from '../src/site/wait-until.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(120_000)

const { OK, NOT_DEPLOYED } = rendezvous.RegisterPkResponse.Result
const PASSWORD = 'correct horse'
/** A stock device registers under its new id when its next registration is due. */
const NEXT_REGISTRATION_MS = 25_000
/** Machines are seldom switched on at the same moment. */
const BETWEEN_STARTS_MS = 5_000

const shared = NO_REDIS === undefined ? it : it.skip

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function isOnline(controller: Controller, id: string): Promise<boolean | undefined> {
  return (await controller.queryOnline([id]))?.get(id)
}

/** Waits until the device is reached under its new id, and opens a session to it. */
async function expectReachable(controller: Controller, id: string): Promise<void> {
  await waitUntil(`${id} is online`, async () => (await isOnline(controller, id)) === true, NEXT_REGISTRATION_MS)
  const session = await controller.connect(id, { password: PASSWORD })
  expect(session.isEncrypted).toBe(true)
  await session.close()
}

describe('a device whose user wants another id', () => {
  it.each([
    ['UDP', {}],
    ['a TCP connection', { registration: 'connection' }],
    ['a WebSocket', { transport: 'websocket' }],
  ] as const)('is reached under it, and no more under the old one: registered over %s', async (_, options) => {
    const site = await Site.start()
    closers.push(() => site.close())
    const device = await site.device({ password: PASSWORD, localAddress: '127.0.0.2', ...options })
    const before = device.id
    expect(await device.changeId('1-no-letter')).toBe('invalidFormat')
    expect(await device.changeId('front-desk')).toBe('changed')
    expect(device.id).toBe('front-desk')
    const controller = site.controller({ localAddress: '127.0.0.3' })
    await expectReachable(controller, 'front-desk')
    expect(await isOnline(controller, before)).toBe(false)
    const other = await site.device({ localAddress: '127.0.0.4' })
    expect(await other.changeId('front-desk')).toBe('notAvailable')
    expect(await device.changeId('Front-Desk')).toBe('changed')
  })

  it('is told that the server does not support it where the operator gives the ids', async () => {
    const site = await Site.start({ programs: ['hbbs'], hbbs: { env: { CHANGE_ID: 'N' } } })
    closers.push(() => site.close())
    expect(await (await site.device()).changeId('front-desk')).toBe('notSupported')
  })

  shared(`is reached under it from another node on the same Redis${NO_REDIS ? ` (${NO_REDIS})` : ''}`, async () => {
    const cluster = await Cluster.start()
    closers.push(() => cluster.close())
    const device = await cluster.device(0, { password: PASSWORD, localAddress: '127.0.0.2' })
    const before = device.id
    expect(await device.changeId('front-desk')).toBe('changed')
    const controller = cluster.controller(1, { localAddress: '127.0.0.3' })
    await expectReachable(controller, 'front-desk')
    expect(await isOnline(controller, before)).toBe(false)
  })
})

describe('somebody who has the uuid of a device', () => {
  it('waits for the operator with another key from another address, in the log with both addresses', async () => {
    const site = await Site.start({ programs: ['hbbs'] })
    closers.push(() => site.close())
    const owner = await RawDevice.online(site, { ip: '127.0.0.2' })
    const stranger = await RawDevice.open(site, { ip: '127.0.0.3' })
    const pretence: DeviceIdentity = { ...createDeviceIdentity(), id: owner.id, uuid: owner.identity.uuid }
    expect(await stranger.register(pretence)).toBe(NOT_DEPLOYED)
    expect(await owner.heartbeat()).toBe(false)
    expect(await owner.register()).toBe(OK)
    await waitUntil('the refusal is in the log', () =>
      new RegExp(
        `New key refused from 127\\.0\\.0\\.3:\\d+ for peer ${owner.id} - registered from 127\\.0\\.0\\.2`,
      ).test(site.hbbs.output),
    )
  })
})

// What comes from loopback is never taken for another place.
const ownAddress = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

const describeMachines = ownAddress === undefined ? describe.skip : describe
const whySkipped = ownAddress === undefined ? ' (skipped: this machine has no IPv4 address but loopback)' : ''

describeMachines(`two machines of one image${whySkipped}`, () => {
  async function expectIdsOfTheirOwn(
    host: Site | Cluster,
    servers: readonly [ServerSettings, ServerSettings],
    controller: Controller,
    log: () => string,
  ): Promise<void> {
    const identity = createDeviceIdentity()
    const machine = async (server: ServerSettings) => {
      const device = new Device({ server: { ...server, host: ownAddress ?? '' }, natType: 'asymmetric', identity })
      host.guest(device)
      await device.start()
      return device.online()
    }
    const original = await machine(servers[0])
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_STARTS_MS))
    const newcomer = await machine(servers[1])
    await waitUntil('the newcomer has drawn another id', () => newcomer.id !== identity.id, 120_000)
    for (const { id } of [original, newcomer])
      await waitUntil(`${id} is online`, async () => (await isOnline(controller, id)) === true, NEXT_REGISTRATION_MS)
    expect(original.id).toBe(identity.id)
    expect(log()).toContain('two machines share one ID, uuid and key')
  }

  const env = { HEAL_CLONES: 'Y' }

  it('each have an id of their own within two minutes with HEAL_CLONES, and the first one keeps its own', async () => {
    const site = await Site.start({ programs: ['hbbs'], hbbs: { env } })
    closers.push(() => site.close())
    await expectIdsOfTheirOwn(site, [site.server, site.server], site.controller(), () => site.hbbs.output)
  }, 200_000)

  shared(
    'do so where each registers with another node on the same Redis',
    async () => {
      const cluster = await Cluster.start({ env, hbbr: 0 })
      closers.push(() => cluster.close())
      const servers = [cluster.server(0), cluster.server(1)] as const
      const log = () => cluster.node('hbbs', 1).process.output
      await expectIdsOfTheirOwn(cluster, servers, cluster.controller(0), log)
    },
    200_000,
  )
})
