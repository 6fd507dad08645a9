import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { createDeviceIdentity, type DeviceSession } from '@tryst/client'
import { decodeRendezvous, rendezvous } from '@tryst/protocol'
import { RawConnection } from '../src/site/raw-connection.ts'
import { Site } from '../src/site/site.ts'
import { waitUntil, within } from '../src/site/wait-until.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(60_000)

const PASSWORD = 'correct horse'
const PER_SOURCE = 8
const TOTAL = 40
/** Nine tenths. */
const MOST_DEVICES = 36
const { OK, SERVER_ERROR } = rendezvous.RegisterPkResponse.Result

/** A network behind one address, of which all devices are on connections. */
describe('a fleet on connections from one address', () => {
  let site: Site
  beforeAll(async () => {
    const env = {
      ...{ CONNECTIONS_PER_SOURCE: `${PER_SOURCE}`, CONNECTIONS_TOTAL: `${TOTAL}` },
      // Nobody answers beats here.
      ...{ NEW_IDS_PER_MINUTE: '1000', KEEP_ALIVE_SECONDS: '600' },
    }
    site = await Site.start({ hbbs: { env } })
  })
  afterEach(() => site?.dismissGuests())
  afterAll(() => site?.close())

  async function register(port: 'main' | 'webSocket'): Promise<number | undefined> {
    const connection = await RawConnection.open(site, port)
    const { id, uuid, publicKey } = createDeviceIdentity()
    connection.send({ registerPk: { id, uuid, pk: publicKey } })
    return waitUntil('the server answers', async () => {
      const payload = await connection.nextPayload()
      return payload.length > 0 && (decodeRendezvous(payload).registerPkResponse?.result ?? undefined)
    })
  }

  it('takes nothing of the share of that address, up to nine tenths of all connections, and leaves room for others', async () => {
    const registered = []
    for (let i = 0; i < MOST_DEVICES - 1; i++) registered.push(await register(i % 2 === 0 ? 'main' : 'webSocket'))
    expect(registered).toEqual(new Array(MOST_DEVICES - 1).fill(OK))
    const device = await site.device({ registration: 'connection', password: PASSWORD })
    expect(await register('main')).toBe(SERVER_ERROR)
    // What is left is for controllers, and for what the device answers.
    const accepted = new Promise<DeviceSession>((resolve) => device.once('session', resolve))
    await site.controller().connect(device.id, { password: PASSWORD })
    await within('the device has the session', accepted)
  })
})
