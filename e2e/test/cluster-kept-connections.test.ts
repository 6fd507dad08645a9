import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { createDeviceIdentity, type Device, type DeviceSession } from '@tryst/client'
import { Cluster } from '../src/cluster/cluster.ts'
import { NO_REDIS } from '../src/cluster/redis-process.ts'
import { CLIENT_KINDS, CONTROLLER_OF_KIND, DEVICE_OF_KIND, PAIRS, pathOfPair } from '../src/site/client-kinds.ts'
import { exchange } from '../src/site/exchange.ts'
import { waitUntil, within } from '../src/site/wait-until.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(120_000)

const PASSWORD = 'correct horse'
const QUARTER_MEBIBYTE = 1 << 18
const KEPT = CLIENT_KINDS.filter((kind) => kind !== 'UDP')

const suite = NO_REDIS === undefined ? describe : describe.skip

suite(`devices on connections to two nodes with one Redis${NO_REDIS === undefined ? '' : ` (${NO_REDIS})`}`, () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start({
      env: {
        SINGLE_BANDWIDTH: '20000',
        TOTAL_BANDWIDTH: '20000',
        LIMIT_SPEED: '20000',
        KEEP_ALIVE_SECONDS: '6',
        NEW_IDS_PER_MINUTE: '1000',
      },
    })
  })
  afterEach(() => cluster?.dismissGuests())
  afterAll(() => cluster?.close())

  const isOnline = async (id: string, at: number) => (await cluster.controller(at).queryOnline([id]))?.get(id)
  const deviceFigure = (at: number, name: string) => cluster.node('hbbs', at).figure(name)

  /** Sessions reach this very device, for controllers of both nodes, as soon as the nodes have told each other. */
  async function expectReached(device: Device): Promise<void> {
    let sessions = 0
    device.on('session', () => sessions++)
    for (const at of [0, 1]) {
      const before = sessions
      await waitUntil('the device has the session, and not a former one of the same id', async () => {
        await cluster.controller(at).connect(device.id, { password: PASSWORD })
        const arrivedUntil = performance.now() + 1_000
        return waitUntil('it arrives', () => sessions > before || performance.now() > arrivedUntil).then(
          () => sessions > before,
        )
      })
    }
  }

  describe.each(PAIRS)('a controller on %s and a device on %s', (controllerKind, deviceKind) => {
    it.each([
      ['the same node', '127.0.0.3', 0],
      ['the same node and one address', '127.0.0.2', 0],
      ['different nodes', '127.0.0.3', 1],
      ['different nodes and one address', '127.0.0.2', 1],
    ] as const)('connect with %s', async (_, from, at) => {
      const options = { password: PASSWORD, localAddress: '127.0.0.2', ...DEVICE_OF_KIND[deviceKind] }
      const device = await cluster.device(0, options)
      const reactions: string[] = []
      device.on('reaction', ({ kind }) => reactions.push(kind))
      const accepted = new Promise<DeviceSession>((resolve) => device.once('session', resolve))
      const controller = cluster.controller(at, { localAddress: from, ...CONTROLLER_OF_KIND[controllerKind] })
      const ours = await controller.connect(device.id, { password: PASSWORD })
      const path = pathOfPair(controllerKind, deviceKind)
      expect({ path: ours.path, encrypted: ours.isEncrypted }).toEqual({ path, encrypted: true })
      const theirs = await within('the device has a session', accepted)
      const { forth, back } = await exchange(ours, theirs, QUARTER_MEBIBYTE)
      expect([forth.received, back.received]).toEqual([forth.sent, back.sent])
    })
  })

  it('are moved at once, from UDP to a connection, from node to node and back', async () => {
    const identity = createDeviceIdentity()
    const places = [
      ['UDP', 0],
      ['TCP', 1],
      ['UDP', 0],
      ['WebSocket', 1],
      ['TCP', 0],
      ['TCP', 1],
      ['UDP', 1],
    ] as const
    let before: Device | undefined
    for (const [kind, at] of places) {
      const device = await cluster.device(at, { identity, password: PASSWORD, ...DEVICE_OF_KIND[kind] })
      await expectReached(device)
      // What the former place finds out late changes nothing.
      await before?.close()
      await expectReached(device)
      before = device
    }
    await waitUntil('the first node keeps no connection', async () => {
      return (await deviceFigure(0, 'tryst_devices_kept')) === 0
    })
  })

  it.each(KEPT)(
    'are online for both nodes while they say nothing on %s, and offline when they have gone',
    async (kind) => {
      const device = await cluster.device(1, DEVICE_OF_KIND[kind])
      const idleUntil = performance.now() + 15_000
      await waitUntil('two keep-alives are over', () => performance.now() > idleUntil, 30_000)
      expect([await isOnline(device.id, 0), await isOnline(device.id, 1)]).toEqual([true, true])
      await device.close()
      await waitUntil('both nodes know', async () => {
        return !(await isOnline(device.id, 0)) && !(await isOnline(device.id, 1))
      })
    },
  )

  it.each(KEPT)('cost Redis nothing while they are idle on %s', async (kind) => {
    const devices = await Promise.all(Array.from({ length: 20 }, () => cluster.device(0, DEVICE_OF_KIND[kind])))
    const ids = devices.map(({ id }) => id)
    for (const id of ids) await waitUntil(`the other node knows ${id}`, async () => (await isOnline(id, 1)) === true)
    const commands = await cluster.redis.commandsDuring(async () => {
      const idleUntil = performance.now() + 8_000
      await waitUntil('a keep-alive is over', () => performance.now() > idleUntil, 30_000)
    })
    // Every ten minutes each record is looked after once: a few of these are not because of what goes on here. A node
    // that has just begun looks once after all identities.
    const isOfDevice = (command: string, id: string) => command.includes(id) && !command.includes(`:peer:${id}`)
    const sent = commands.filter((command) => !command.includes('lua]'))
    const ofDevices = sent.filter((command) => ids.some((id) => isOfDevice(command, id)))
    expect(ofDevices.slice(ids.length / 4)).toEqual([])
  })
})

suite(`a node with kept connections that dies${NO_REDIS === undefined ? '' : ` (${NO_REDIS})`}`, () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start({ address: 'shared', hbbr: 1 })
  })
  afterAll(() => cluster?.close())

  it.each([
    ['is killed', 'kill'],
    ['is told to stop', 'stop'],
  ] as const)('and %s: its devices are with the other within 30 s', async (_, how) => {
    const kinds = [...KEPT, ...KEPT, ...KEPT, ...KEPT]
    const devices = await Promise.all(
      kinds.map((kind) => cluster.device(0, { password: PASSWORD, ...DEVICE_OF_KIND[kind] })),
    )
    const victim = cluster.node('hbbs', 1)
    const lost = performance.now()
    await victim[how]()
    for (const device of devices) {
      await waitUntil(
        `${device.id} is online`,
        async () => device.status === 'online' && (await cluster.controller().queryOnline([device.id]))?.get(device.id),
        40_000,
      )
    }
    expect(performance.now() - lost).toBeLessThan(30_000)
    const [first, second] = devices
    if (!first || !second) throw new Error('there are no devices')
    for (const device of [first, second]) {
      await cluster.controller().connect(device.id, { password: PASSWORD })
    }
    await victim.start()
    await cluster.dismissGuests()
  })
})
