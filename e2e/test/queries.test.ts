import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { formatEndpoint, unmangleAddress } from '@tryst/protocol'
import { RawConnection } from '../src/site/raw-connection.ts'
import { RawDevice } from '../src/site/raw-device.ts'
import { Site, type SiteOptions } from '../src/site/site.ts'
import { waitUntil } from '../src/site/wait-until.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(60_000)

let site: Site | undefined
afterEach(() => site?.close())

async function start(options: SiteOptions = {}): Promise<Site> {
  site = await Site.start({ programs: ['hbbs'], ...options })
  return site
}

/** What a device is told when somebody asks for it. */
async function askedFor(at: Site, device: RawDevice, from = '127.0.0.9') {
  const controller = await RawConnection.open(at, 'main', { from })
  controller.send({ punchHoleRequest: { id: device.id, licenceKey: at.key, natType: 1 } })
  const message = await device.next()
  controller.close()
  return message
}

describe('an online query', () => {
  it.each(['natTest', 'main', 'webSocket'] as const)('is answered on the port %s', async (port) => {
    const at = await start()
    const devices = await Promise.all(Array.from({ length: 10 }, () => RawDevice.online(at)))
    const peers = devices.flatMap(({ id }) => [id, `nobody-${id}`])
    const connection = await RawConnection.open(at, port)
    const { onlineResponse } = await connection.ask({ onlineRequest: { id: '1', peers } })
    const bits = [...(onlineResponse?.states ?? [])].map((byte) => byte.toString(2).padStart(8, '0')).join('')
    expect(bits).toBe('10'.repeat(10).padEnd(24, '0'))
  })

  it('for a whole address book is answered', async () => {
    const at = await start()
    const device = await RawDevice.online(at)
    const ids = [...Array.from({ length: 4_000 }, (_, i) => `${500_000_000 + i}`), device.id]
    for (const transport of ['tcp', 'websocket'] as const) {
      const online = await at.controller({ transport }).queryOnline(ids)
      expect([...(online ?? [])].filter(([, isOnline]) => isOnline)).toEqual([[device.id, true]])
    }
  })
})

describe('the NAT test', () => {
  it('finds that no address is translated here', async () => {
    const at = await start()
    expect(await at.controller().testNat()).toBe('asymmetric')
    const device = await at.device({ natType: 'unknown' })
    await waitUntil('the device has made its NAT test', () => device.natType === 'asymmetric')
  })

  it.each(['main', 'natTest', 'webSocket'] as const)(
    'tells the port that the server sees, on the port %s',
    async (port) => {
      const at = await start()
      const connection = await RawConnection.open(at, port)
      const { testNatResponse } = await connection.ask({ testNatRequest: { serial: 3 } })
      expect(testNatResponse?.port).toBe(connection.client.address.port)
    },
  )
})

describe('the server list', () => {
  const args = ['-s', '7', '-R', 'one.example:21116,two.example']

  it('is sent to devices and in the NAT test of the main port when theirs is older', async () => {
    const at = await start({ hbbs: { args } })
    const expected = { serial: 7, rendezvousServers: expect.arrayContaining([expect.stringContaining('two.example')]) }
    const device = await RawDevice.online(at)
    expect(await device.heartbeat()).toBe(false)
    expect((await device.next()).configureUpdate).toMatchObject(expected)
    expect(await device.heartbeat(7)).toBe(false)
    const older = await RawConnection.open(at, 'main')
    expect((await older.ask({ testNatRequest: { serial: 3 } })).testNatResponse?.cu).toMatchObject(expected)
    const current = await RawConnection.open(at, 'main')
    expect((await current.ask({ testNatRequest: { serial: 7 } })).testNatResponse?.cu ?? null).toBeNull()
    const second = await RawConnection.open(at, 'natTest')
    expect((await second.ask({ testNatRequest: { serial: 3 } })).testNatResponse?.cu ?? null).toBeNull()
  })

  it('is replaced by a newer one that comes from the machine itself', async () => {
    const at = await start({ hbbs: { args } })
    const device = await RawDevice.online(at)
    device.send({ configureUpdate: { serial: 9, rendezvousServers: ['three.example'] } })
    device.send({ configureUpdate: { serial: 8, rendezvousServers: ['older.example'] } })
    await at.hbbs.logged(/server list updated/)
    await device.heartbeat(7)
    expect((await device.next()).configureUpdate).toMatchObject({ serial: 9, rendezvousServers: ['three.example'] })
  })

  it('is joined by the address of a newer client for old ones', async () => {
    const url = 'https://example.com/client-1.4.9'
    const at = await start({ hbbs: { args: ['-u', url] } })
    const device = await RawDevice.open(at)
    device.send({ softwareUpdate: { url: '1.1.9' } })
    expect((await device.next()).softwareUpdate?.url).toBe(url)
  })
})

describe('the relay that clients are told', () => {
  it('is PUBLIC_HOST with the port of the relay when there is no list', async () => {
    const at = await start({ hbbs: { env: { PUBLIC_HOST: 'tryst.example' } } })
    const { punchHole } = await askedFor(at, await RawDevice.online(at))
    expect(punchHole?.relayServer).toBe(`tryst.example:${at.ports.relay}`)
  })

  it('is the next of those in the list that accept connections, always with a port', async () => {
    const at = await start({ programs: ['hbbs', 'hbbr'], hbbs: { args: ['-r', '127.0.0.1:1'] } })
    const device = await RawDevice.online(at)
    expect((await askedFor(at, device)).punchHole?.relayServer).toBe('127.0.0.1:1')
    const { relay } = at.ports
    await at.hbbs.stop()
    await at.start('hbbs', { args: ['-r', `127.0.0.1:${relay},127.0.0.2:${relay},127.0.0.1:1`] })
    await device.register()
    const offered = async () => {
      const relays: unknown[] = []
      for (let i = 0; i < 6; i++) relays.push((await askedFor(at, device, `127.0.3.${i + 1}`)).punchHole?.relayServer)
      return relays
    }
    await waitUntil('the relay that is not there is left out', async () => !(await offered()).includes('127.0.0.1:1'))
    const live = [`127.0.0.1:${relay}`, `127.0.0.2:${relay}`]
    expect((await offered()).toSorted()).toEqual([0, 0, 0, 1, 1, 1].map((i) => live[i]))
    await at.hbbr.stop()
    expect(new Set(await offered())).toEqual(new Set(live))
  })
})

describe('ALWAYS_USE_RELAY', () => {
  it('sends every session through the relay', async () => {
    const at = await start({ programs: ['hbbs', 'hbbr'], hbbs: { env: { ALWAYS_USE_RELAY: 'Y' } } })
    const device = await at.device({ localAddress: '127.0.0.2', password: 'pw' })
    const session = await at.controller().connect(device.id, { password: 'pw' })
    expect(session.path).toBe('relay')
  })
})

describe('MASK', () => {
  it('has those inside and outside meet at the relay, of which those inside get the local address', async () => {
    const env = { MASK: '127.0.7.0/24', LOCAL_IP: '127.0.7.1', PUBLIC_HOST: 'tryst.example' }
    const at = await start({ hbbs: { env } })
    const inside = await RawDevice.online(at, { ip: '127.0.7.5' })
    const outside = await RawDevice.online(at, { ip: '127.0.8.5' })
    const { relay } = at.ports
    expect((await askedFor(at, inside, '127.0.8.6')).punchHole).toMatchObject({
      natType: 2,
      // Clients add this port to a relay without one, whatever the ID server's is.
      relayServer: '127.0.7.1:21117',
    })
    expect((await askedFor(at, outside, '127.0.7.6')).punchHole).toMatchObject({
      natType: 2,
      relayServer: `tryst.example:${relay}`,
    })
    expect((await askedFor(at, inside, '127.0.7.6')).fetchLocalAddr).toBeDefined()
  })
})

describe('the handle that a device gets', () => {
  it('holds the true address of the controller', async () => {
    const at = await start()
    const device = await RawDevice.online(at)
    const controller = await RawConnection.open(at, 'main', { from: '127.0.0.9' })
    controller.send({ punchHoleRequest: { id: device.id, licenceKey: at.key, natType: 1 } })
    const { punchHole } = await device.next()
    const { ip, port } = unmangleAddress(punchHole?.socketAddr ?? new Uint8Array(0))
    expect(formatEndpoint({ ip, port })).toBe(formatEndpoint(controller.client.address))
  })
})
