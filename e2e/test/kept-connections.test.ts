import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { createDeviceIdentity, type DeviceSession } from '@tryst/client'
import { decodeRendezvous, type RendezvousMessage, rendezvous } from '@tryst/protocol'
import { CLIENT_KINDS, CONTROLLER_OF_KIND, DEVICE_OF_KIND, PAIRS, pathOfPair } from '../src/site/client-kinds.ts'
import { exchange } from '../src/site/exchange.ts'
import { RawConnection } from '../src/site/raw-connection.ts'
import { Site } from '../src/site/site.ts'
import { waitUntil, within } from '../src/site/wait-until.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(120_000)

const PASSWORD = 'correct horse'
const MEBIBYTE = 1 << 20
const KEEP_ALIVE_SECONDS = 4
const { OK, UUID_MISMATCH } = rendezvous.RegisterPkResponse.Result
const BEAT = new Uint8Array()
const KEPT = CLIENT_KINDS.filter((kind) => kind !== 'UDP')
const PORTS = ['main', 'webSocket'] as const

let site: Site
beforeAll(async () => {
  const fast = { SINGLE_BANDWIDTH: '20000', TOTAL_BANDWIDTH: '20000', LIMIT_SPEED: '20000' }
  site = await Site.start({
    hbbs: { env: { KEEP_ALIVE_SECONDS: `${KEEP_ALIVE_SECONDS}`, NEW_IDS_PER_MINUTE: '1000' } },
    hbbr: { env: fast },
  })
})
afterEach(() => site?.dismissGuests())
afterAll(() => site?.close())

const isOnline = async (id: string) => (await site.controller().queryOnline([id]))?.get(id)

/** A device of which nothing but its registration is there; it answers no beat unless the test does. */
async function register(port: (typeof PORTS)[number], identity = createDeviceIdentity()) {
  const connection = await RawConnection.open(site, port)
  const { id, uuid, publicKey } = identity
  connection.send({ registerPk: { id, uuid, pk: publicKey } })
  const { registerPkResponse } = await nextSaying(connection)
  return { connection, identity, answer: registerPkResponse }
}

/** The next message that says something; beats before it are answered. */
const nextSaying = (connection: RawConnection): Promise<RendezvousMessage> =>
  waitUntil('the server says something', async () => {
    const payload = await connection.nextPayload()
    if (payload.length > 0) return decodeRendezvous(payload)
    connection.sendPayload(BEAT)
    return undefined
  })

describe.each(PAIRS)('a controller on %s and a device on %s', (controllerKind, deviceKind) => {
  it.each(['127.0.0.2', '127.0.0.3'])('connect, the device at 127.0.0.2 and the controller at %s', async (from) => {
    const device = await site.device({
      ...{ password: PASSWORD, localAddress: '127.0.0.2' },
      ...DEVICE_OF_KIND[deviceKind],
    })
    const accepted = new Promise<DeviceSession>((resolve) => device.once('session', resolve))
    const controller = site.controller({ localAddress: from, ...CONTROLLER_OF_KIND[controllerKind] })
    const ours = await controller.connect(device.id, { password: PASSWORD })
    expect({ path: ours.path, encrypted: ours.isEncrypted }).toEqual({
      path: pathOfPair(controllerKind, deviceKind),
      encrypted: true,
    })
    const theirs = await within('the device has a session', accepted)
    const { forth, back } = await exchange(ours, theirs, MEBIBYTE)
    expect([forth.received, back.received]).toEqual([forth.sent, back.sent])
  })

  it('connect by a relay that the controller asks for', async () => {
    const device = await site.device({ password: PASSWORD, ...DEVICE_OF_KIND[deviceKind] })
    const controller = site.controller(CONTROLLER_OF_KIND[controllerKind])
    const ours = await controller.connect(device.id, { password: PASSWORD, forceRelay: true })
    expect(ours.path).toBe('relay')
  })
})

describe.each(KEPT)('a device on %s', (kind) => {
  it('stays online and is reached after many keep-alives in which it says nothing of its own', async () => {
    const device = await site.device({ password: PASSWORD, ...DEVICE_OF_KIND[kind] })
    const statuses: string[] = []
    device.on('status', (status) => statuses.push(status))
    const idleUntil = performance.now() + KEEP_ALIVE_SECONDS * 5_000
    await waitUntil('five keep-alives are over', () => performance.now() > idleUntil, 60_000)
    expect(await isOnline(device.id)).toBe(true)
    expect(statuses).toEqual([])
    await site.controller().connect(device.id, { password: PASSWORD })
  })

  it('is offline as soon as it has gone', async () => {
    const device = await site.device(DEVICE_OF_KIND[kind])
    await device.close()
    await waitUntil('the device is offline', async () => !(await isOnline(device.id)), 3_000)
  })

  it('is reached where it registered last', async () => {
    const identity = createDeviceIdentity()
    for (const [i, last] of [kind, 'UDP' as const, kind, kind].entries()) {
      const device = await site.device({ identity, password: PASSWORD, ...DEVICE_OF_KIND[last] })
      const accepted = new Promise<DeviceSession>((resolve) => device.once('session', resolve))
      await site.controller().connect(identity.id, { password: PASSWORD })
      await within(`registration ${i} has the session`, accepted)
      await device.close()
    }
  })

  it('draws another id when its own belongs to somebody else', async () => {
    const owner = await site.device()
    const identity = { ...createDeviceIdentity(), id: owner.id }
    const device = await site.device({ identity, ...DEVICE_OF_KIND[kind] })
    expect(device.id).not.toBe(owner.id)
    expect([await isOnline(owner.id), await isOnline(device.id)]).toEqual([true, true])
  })

  it('is told in time that the server stops, and comes back when it has started again', async () => {
    const device = await site.device({ password: PASSWORD, ...DEVICE_OF_KIND[kind] })
    const lost = new Promise<void>((resolve) => device.once('status', () => resolve()))
    await site.restart('hbbs')
    await within('the device has lost its connection', lost)
    await device.online(60_000)
    await site.controller().connect(device.id, { password: PASSWORD })
  })
})

describe.each(PORTS)('a connection to the port %s that registers', (port) => {
  it('is told the keep-alive, and hears from the server within it', async () => {
    const { connection, answer } = await register(port)
    expect(answer).toMatchObject({ result: OK, keepAlive: KEEP_ALIVE_SECONDS })
    for (let beat = 0; beat < 4; beat++) {
      expect(await connection.nextPayload(KEEP_ALIVE_SECONDS * 1_000 + 1_000)).toHaveLength(0)
      connection.sendPayload(BEAT)
    }
  })

  it('is ended and its device offline within 1.5 keep-alives when it answers nothing', async () => {
    const { connection, identity } = await register(port)
    const silentSince = performance.now()
    expect(await isOnline(identity.id)).toBe(true)
    await connection.ended(KEEP_ALIVE_SECONDS * 1_500 + 2_000)
    expect(performance.now() - silentSince).toBeGreaterThan(KEEP_ALIVE_SECONDS * 900)
    expect(await isOnline(identity.id)).toBe(false)
  })

  it('gets pushes, and answers on other things besides', async () => {
    const { connection, identity } = await register(port)
    const asking = await RawConnection.open(site, 'main', { from: '127.0.0.9' })
    asking.send({ punchHoleRequest: { id: identity.id, natType: 1, licenceKey: site.key } })
    expect((await nextSaying(connection)).punchHole?.socketAddr).not.toHaveLength(0)
    connection.send({ testNatRequest: { serial: 3 } })
    expect((await nextSaying(connection)).testNatResponse?.port).toBeGreaterThan(0)
    connection.send({ onlineRequest: { id: 'x', peers: [identity.id] } })
    expect([...((await nextSaying(connection)).onlineResponse?.states ?? [])]).toEqual([0x80])
    expect(await isOnline(identity.id)).toBe(true)
  })

  it('is told once that somebody else has its id, and stays open', async () => {
    const { identity } = await register(port)
    const other = { ...createDeviceIdentity(), id: identity.id }
    const { connection, answer } = await register(port, other)
    expect(answer).toMatchObject({ result: UUID_MISMATCH })
    connection.send({ registerPk: { id: createDeviceIdentity().id, uuid: other.uuid, pk: other.publicKey } })
    expect((await nextSaying(connection)).registerPkResponse?.result).toBe(OK)
  })
})

describe('what clients ask over a WebSocket', () => {
  it('is who is online', async () => {
    const [one, two] = [await site.device(DEVICE_OF_KIND.TCP), await site.device(DEVICE_OF_KIND.WebSocket)]
    const online = await site.controller({ transport: 'websocket' }).queryOnline([one.id, '100000001', two.id])
    expect([...(online?.values() ?? [])]).toEqual([true, false, true])
  })

  it('is the port that the server sees', async () => {
    const connection = await RawConnection.open(site, 'webSocket')
    const { testNatResponse } = await connection.ask({ testNatRequest: { serial: 3 } })
    expect(testNatResponse?.port).toBeGreaterThan(0)
    await connection.ended()
  })
})
