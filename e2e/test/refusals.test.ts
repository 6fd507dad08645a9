import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { type ConnectError, LoginRefusedError } from '@tryst/client'
import { mangleAddress } from '@tryst/protocol'
import { RawConnection } from '../src/site/raw-connection.ts'
import { RawDevice } from '../src/site/raw-device.ts'
import { Site } from '../src/site/site.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(60_000)

const PASSWORD = 'correct horse'
const WRONG_KEY = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='

let site: Site

beforeAll(async () => {
  site = await Site.start()
})
afterEach(() => site?.dismissGuests())
afterAll(() => site?.close())

const refusal = (attempt: Promise<unknown>): Promise<ConnectError> =>
  attempt.then(
    () => {
      throw new Error('nothing was refused')
    },
    (error: ConnectError) => error,
  )

/** The id of a device that was here and has gone, before a restart. */
async function offlineDevice(): Promise<string> {
  const device = await RawDevice.online(site)
  device.close()
  await site.restart('hbbs')
  return device.id
}

describe('a user', () => {
  it('whose key is wrong reads how the right one ends and where to copy it', async () => {
    const device = await site.device()
    for (const transport of ['tcp', 'websocket'] as const) {
      const controller = site.controller({ server: { ...site.server, key: WRONG_KEY }, transport })
      const { failure, message, retries } = await refusal(controller.connect(device.id))
      expect(failure).toBe('otherFailure')
      expect(message).toContain('Key mismatch')
      expect(message).toContain(site.key.slice(-6))
      expect(message).toContain('Copy the key')
      expect(retries).toBe(false)
    }
    await site.hbbs.logged(/^Authentication failed from 127\.0\.0\.1:\d+ for peer \d+ - invalid key$/)
  })

  it('without a key reads the same', async () => {
    const device = await site.device()
    const controller = site.controller({ server: { ...site.server, key: undefined } })
    expect((await refusal(controller.connect(device.id))).message).toContain('Key mismatch')
  })

  it.each(['direct', 'relay'] as const)(
    'whose password is wrong may try again on the same session (%s)',
    async (path) => {
      const device = await site.device({ password: PASSWORD, localAddress: '127.0.0.2' })
      const attempt = site.controller().connect(device.id, { password: 'wrong', forceRelay: path === 'relay' })
      const error = await refusal(attempt)
      expect(error).toBeInstanceOf(LoginRefusedError)
      expect([error.message, error.failure]).toEqual(['Wrong Password', 'login'])
      const { session } = error as LoginRefusedError
      await session.retryLogin(PASSWORD)
      expect([session.path, session.peerInfo?.hostname]).toEqual([path, 'tryst-device'])
    },
  )

  it('who asks for a device that is offline reads so', async () => {
    const id = await offlineDevice()
    for (const transport of ['tcp', 'websocket'] as const) {
      const { failure, message, retries } = await refusal(site.controller({ transport }).connect(id))
      expect({ failure, message, retries }).toEqual({
        failure: 'offline',
        message: expect.stringMatching(/^Remote desktop is offline \([0-9A-Z]{6}\)$/),
        retries: false,
      })
    }
  })

  it('who asks for an id that nobody has reads so', async () => {
    for (const transport of ['tcp', 'websocket'] as const) {
      const { failure, message } = await refusal(site.controller({ transport }).connect('999999999'))
      expect({ failure, message }).toEqual({
        failure: 'idNotExist',
        message: expect.stringMatching(/^ID does not exist \([0-9A-Z]{6}\)$/),
      })
    }
  })
})

describe('a request for a relay', () => {
  const ask = async (request: { id: string; licenceKey?: string }) => {
    const connection = await RawConnection.open(site, 'main')
    const { relayResponse } = await connection.ask({ requestRelay: { uuid: randomUUID(), ...request } })
    return relayResponse?.refuseReason
  }

  it('is refused in words at once when the device is offline', async () => {
    expect(await ask({ id: await offlineDevice() })).toMatch(/^Remote desktop is offline \([0-9A-Z]{6}\)$/)
  })

  it('is refused in words at once when there is no such device', async () => {
    expect(await ask({ id: '999999999' })).toMatch(/^ID does not exist \([0-9A-Z]{6}\)$/)
  })

  it('is refused in words at once when it names a wrong key', async () => {
    const device = await RawDevice.online(site)
    expect(await ask({ id: device.id, licenceKey: WRONG_KEY })).toContain('Key mismatch')
  })
})

describe('the relay', () => {
  it.each(['relay', 'relayWebSocket'] as const)('ends the connection of whoever has another key (%s)', async (port) => {
    const half = await RawConnection.open(site, port)
    half.send({ requestRelay: { uuid: randomUUID(), licenceKey: WRONG_KEY } })
    await half.ended()
    await site.hbbr.logged(/^Relay authentication failed from 127\.0\.0\.1:\d+ - invalid key$/)
  })

  it.each(['relay', 'relayWebSocket'] as const)(
    'ends the connection of whoever names no session (%s)',
    async (port) => {
      const half = await RawConnection.open(site, port)
      half.send({ requestRelay: { uuid: '', licenceKey: site.key } })
      await half.ended()
    },
  )
})

describe('an answer', () => {
  it('to a guessed address, or for another device, reaches nobody', async () => {
    const device = await RawDevice.online(site, { ip: '127.0.0.2' })
    const controller = await RawConnection.open(site, 'main', { from: '127.0.0.3' })
    controller.send({ punchHoleRequest: { id: device.id, licenceKey: site.key, natType: 1 } })
    const { punchHole } = await device.next()
    const handle = punchHole?.socketAddr ?? new Uint8Array(0)
    const answer = async (punchHoleSent: { socketAddr: Uint8Array; id: string }) => {
      const connection = await RawConnection.open(site, 'main', { from: '127.0.0.4' })
      connection.send({ punchHoleSent: { ...punchHoleSent, natType: 1, version: '1.4.9' } })
      await connection.ended()
      return connection.client.address.port
    }
    for (let tm = 0; tm < 20; tm++) {
      await answer({ socketAddr: mangleAddress(controller.client.address, tm), id: device.id })
    }
    await answer({ socketAddr: handle, id: '123456789' })
    await answer({ socketAddr: handle, id: device.id })
    const { punchHoleResponse } = await controller.next()
    expect(punchHoleResponse?.socketAddr?.length).toBeGreaterThan(0)
    expect(controller.client.pending()).toBeUndefined()
  })
})

describe('a server without signed identities', () => {
  it('offers only sessions that are not encrypted, which the user has to accept', async () => {
    const open = await Site.start({
      hbbs: { args: ['-k', 'a shared secret'] },
      hbbr: { args: ['-k', 'a shared secret'] },
    })
    try {
      const server = { host: '127.0.0.1', port: open.ports.main, key: 'a shared secret' }
      const device = await open.device({ server, password: PASSWORD, localAddress: '127.0.0.2' })
      const controller = open.controller({ server })
      expect((await refusal(controller.connect(device.id, { password: PASSWORD }))).failure).toBe('unencrypted')
      for (const forceRelay of [false, true]) {
        const session = await controller.connect(device.id, { password: PASSWORD, unencrypted: 'accept', forceRelay })
        expect(session.isEncrypted).toBe(false)
        await session.close()
      }
      const stranger = open.controller({ server: { ...server, key: site.key } })
      const { message } = await refusal(stranger.connect(device.id))
      expect(message).toContain('Key mismatch')
      expect(message).not.toContain('secret')
    } finally {
      await open.close()
    }
  })
})
