import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import type { ConnectOptions, Controller, Device, DeviceSession, Reaction } from '@tryst/client'
import { Cluster } from '../src/cluster/cluster.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { type Families, type FamilyCase, type FamilyReport, RELAYS, TCP_PORTS } from '../src/punching/families.ts'
import { exchange } from '../src/site/exchange.ts'
import { Site } from '../src/site/site.ts'
import { within } from '../src/site/wait-until.ts'
import { namespaceCommand } from '../src/transcripts/network.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(180_000)

const PASSWORD = 'correct horse'
const MEBIBYTE = 1 << 20
const DEVICE = { password: PASSWORD, localAddress: '127.0.0.2' }
const CONTROLLER = { localAddress: '127.0.0.3' }
const ONLY_UDP = { udpPunch: true, tcpPunch: false }

/** A session, what carried it, what the device was asked, and whether what was sent arrived. */
async function meet(controller: Controller, device: Device, options: ConnectOptions = {}) {
  const reactions: Reaction['kind'][] = []
  device.on('reaction', ({ kind }) => reactions.push(kind))
  const accepted = new Promise<DeviceSession>((resolve) => device.once('session', resolve))
  const ours = await controller.connect(device.id, { password: PASSWORD, ...options })
  const theirs = await within('the device has a session', accepted)
  const { forth, back } = await exchange(ours, theirs, 4 * MEBIBYTE)
  expect([forth.received, back.received]).toEqual([forth.sent, back.sent])
  const { route, isEncrypted } = ours
  await ours.close()
  return { route, isEncrypted, reactions: reactions.sort() }
}

describe('one ID server', () => {
  let site: Site
  beforeAll(async () => {
    site = await Site.start()
  })
  afterEach(() => site?.dismissGuests())
  afterAll(() => site?.close())

  it('brings a session about over UDP', async () => {
    const device = await site.device(DEVICE)
    const met = await meet(site.controller({ ...CONTROLLER, ...ONLY_UDP }), device)
    expect(met).toEqual({ route: 'udp', isEncrypted: true, reactions: ['punchByUdp'] })
  })

  it('lets a controller try TCP and UDP at once', async () => {
    const device = await site.device(DEVICE)
    const { route, reactions } = await meet(site.controller({ ...CONTROLLER, udpPunch: true }), device)
    expect(['tcp', 'udp']).toContain(route)
    expect(reactions).toEqual(['punch', 'punchByUdp'])
  })

  it('brings a session about over UDP with a device that listens on no TCP port', async () => {
    const device = await site.device({ ...DEVICE, mayListen: false })
    const met = await meet(site.controller({ ...CONTROLLER, ...ONLY_UDP }), device)
    expect(met).toEqual({ route: 'udp', isEncrypted: true, reactions: ['punchByUdp'] })
  })

  it('tells both of IPv6 addresses, while it is itself reached over IPv4', async () => {
    const device = await site.device({ ...DEVICE, ipv6Address: '::1' })
    const controller = site.controller({ ...CONTROLLER, ipv6Address: '::1', tcpPunch: false })
    expect(await meet(controller, device)).toEqual({ route: 'ipv6', isEncrypted: true, reactions: ['punch'] })
  })

  it.each([
    ['in different networks', CONTROLLER],
    ['behind one address', { localAddress: DEVICE.localAddress }],
  ])('brings those who want it to the relay, %s', async (_where, place) => {
    const device = await site.device({ ...DEVICE, ipv6Address: '::1' })
    const controller = site.controller({ ...place, udpPunch: true, ipv6Address: '::1' })
    const met = await meet(controller, device, { forceRelay: true })
    expect(met).toEqual({ route: 'relay', isEncrypted: true, reactions: ['beginRelay'] })
  })

  it('brings everybody to the relay where the operator says so', async () => {
    const strict = await Site.start({ hbbs: { env: { ALWAYS_USE_RELAY: 'Y' } } })
    try {
      const device = await strict.device({ ...DEVICE, ipv6Address: '::1' })
      const controller = strict.controller({ ...CONTROLLER, udpPunch: true, ipv6Address: '::1' })
      expect((await meet(controller, device)).route).toBe('relay')
    } finally {
      await strict.close()
    }
  })
})

const clusters = NO_REDIS === undefined ? describe : describe.skip
clusters(`two ID servers on one Redis${NO_REDIS === undefined ? '' : ` (${NO_REDIS})`}`, () => {
  it.each(['own', 'shared'] as const)('bring sessions about over UDP, with their %s address', async (address) => {
    const cluster = await Cluster.start({ address })
    try {
      for (const [at, from] of [
        [0, 1],
        [1, 0],
        [0, 0],
      ] as const) {
        const device = await cluster.device(at, DEVICE)
        const met = await meet(cluster.controller(from, { ...CONTROLLER, ...ONLY_UDP }), device)
        expect(met).toEqual({ route: 'udp', isEncrypted: true, reactions: ['punchByUdp'] })
        await cluster.dismissGuests()
      }
    } finally {
      await cluster.close()
    }
  })
})

const namespace = namespaceCommand()
const machines = namespace ? describe : describe.skip
machines(`on a machine${namespace ? '' : ' (skipped: network namespaces cannot be made here)'}`, () => {
  const v4 = { server: 'v4' } as const
  const v6 = { server: 'v6' } as const
  const both = { server: 'v4', offersIpv6: true } as const
  const direct = { isEncrypted: true, isWhole: true, reactions: ['punch'] }
  const relayed = { route: 'relay', isEncrypted: true, isWhole: true, reactions: ['beginRelay'] }

  async function play(families: Families, cases: readonly FamilyCase[]): Promise<FamilyReport> {
    const [command, ...args] = namespace ?? []
    const worker = resolve(import.meta.dirname, '../src/punching/families-worker.ts')
    const all = [...args, process.execPath, worker, JSON.stringify(families), JSON.stringify(cases)]
    const { stdout } = await promisify(execFile)(command as string, all, { timeout: 170_000 })
    return JSON.parse(stdout)
  }

  it('without IPv6, all ports serve IPv4', async () => {
    const { openPorts, outcomes } = await play('v4', [
      { device: v4, controller: v4 },
      { device: v4, controller: { ...v4, ...ONLY_UDP } },
      { device: v4, controller: v4, forceRelay: true },
      // Peers that believe to have IPv6 do without it.
      { device: both, controller: both },
    ])
    expect(openPorts).toEqual({ v4: TCP_PORTS, v6: [] })
    expect(outcomes).toMatchObject([
      { ...direct, route: 'tcp', relays: [RELAYS.v4] },
      { ...direct, route: 'udp', reactions: ['punchByUdp'] },
      { ...relayed, relays: [RELAYS.v4] },
      { ...direct, route: 'tcp' },
    ])
  })

  it('without IPv4, all ports serve IPv6', async () => {
    const { openPorts, outcomes } = await play('v6', [
      { device: v6, controller: v6 },
      { device: v6, controller: { ...v6, ...ONLY_UDP } },
      { device: v6, controller: v6, forceRelay: true },
    ])
    expect(openPorts).toEqual({ v4: [], v6: TCP_PORTS })
    expect(outcomes).toMatchObject([
      { ...direct, route: 'tcp', relays: [RELAYS.v6] },
      { ...direct, route: 'ipv6', reactions: ['punchByUdp'] },
      { ...relayed, relays: [RELAYS.v6] },
    ])
  })

  it('with both, everybody meets everybody, and a relay only where both can reach it', async () => {
    const { openPorts, outcomes } = await play('both', [
      { device: v4, controller: v4 },
      { device: v6, controller: v6 },
      { device: v4, controller: { ...v4, ...ONLY_UDP } },
      { device: v6, controller: { ...v6, ...ONLY_UDP } },
      { device: both, controller: { ...both, tcpPunch: false } },
      { device: v4, controller: v4, forceRelay: true },
      { device: v6, controller: v6, forceRelay: true },
      { device: v4, controller: v6 },
      { device: v6, controller: v4 },
    ])
    expect(openPorts).toEqual({ v4: TCP_PORTS, v6: TCP_PORTS })
    expect(outcomes).toMatchObject([
      { ...direct, route: 'tcp' },
      { ...direct, route: 'tcp' },
      { ...direct, route: 'udp', reactions: ['punchByUdp'] },
      { ...direct, route: 'ipv6', reactions: ['punchByUdp'] },
      { ...direct, route: 'ipv6' },
      { ...relayed, relays: [RELAYS.v4] },
      { ...relayed, relays: [RELAYS.v6] },
      { ...relayed, relays: [RELAYS.v4] },
      { ...relayed, relays: [RELAYS.v4] },
    ])
  })

  it('with both, IPv6 is left open where the families of two peers differ', async () => {
    const { outcomes } = await play('both', [{ device: { ...v6, offersIpv6: true }, controller: both }])
    const [outcome] = outcomes
    expect(outcome).toMatchObject({ reactions: ['beginRelay'], isWhole: true })
    expect(['ipv6', 'relay']).toContain(outcome?.route)
  })
})
