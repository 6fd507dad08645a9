import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it, jest } from '@jest/globals'
import { passwordProof, type session as wire } from '@tryst/protocol/session'
import { scaledClock, systemClock } from '../src/clock.ts'
import { shakeHands } from '../src/controller-handshake.ts'
import { ControllerSession, LoginRefusedError } from '../src/controller-session.ts'
import { DeviceSession } from '../src/device-session.ts'
import { LOGIN_TEXTS } from '../src/login.ts'
import { PeerStream } from '../src/peer-stream.ts'
import { linkPair, sessionHost } from './link-pair.ts'

const DEVICE_ID = '111222333'

async function sessionPair({
  clock = systemClock,
  password = 'Test-Pass-1' as string | null,
  deviceId = DEVICE_ID,
  isSecure = true,
}: {
  clock?: typeof systemClock
  password?: string | null
  deviceId?: string
  isSecure?: boolean
} = {}) {
  const [controllerLink, deviceLink] = await linkPair(clock)
  const host = sessionHost(clock)
  const deviceSide = DeviceSession.open(deviceLink, host, { path: 'direct', isSecure })
  const stream = new PeerStream(controllerLink)
  if (isSecure) await shakeHands(stream, { id: DEVICE_ID, publicKey: host.identity.publicKey }, 'refuse')
  const login = {
    deviceId,
    password: password ?? undefined,
    ownId: '444555666',
    ownName: 'test',
    kind: 'desktop' as const,
  }
  const controller = ControllerSession.create(stream, login, 'direct')
  const device = (await deviceSide) as DeviceSession
  return { controller, device, host, close: () => Promise.all([controller.close(), device.close()]) }
}

// Sockets and child processes take their time on a busy machine.
jest.setTimeout(60_000)

describe('a session between our device and our controller', () => {
  it('is encrypted and carries 8 MB each way unchanged', async () => {
    const { controller, device, close } = await sessionPair()
    await controller.loggedIn()
    expect([controller.isEncrypted, device.isEncrypted]).toEqual([true, true])
    const bytes = randomBytes(8 << 20)
    device.onData = (block) => device.write(block)
    const hash = createHash('sha256')
    let received = 0
    const complete = new Promise<void>((resolve) => {
      controller.onData = (block) => {
        hash.update(block)
        received += block.length
        if (received === bytes.length) resolve()
      }
    })
    await controller.write(bytes)
    await complete
    expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'))
    await close()
  })

  it('tells the other side why it was closed', async () => {
    const { controller, device, close } = await sessionPair()
    await controller.loggedIn()
    await device.close('Closed manually by the peer')
    expect(await controller.ended).toEqual({ kind: 'closedByPeer', text: 'Closed manually by the peer' })
    expect(await device.ended).toEqual({ kind: 'closedHere' })
    await close()
  })

  it('can be closed by who takes its data, even one that never comes back', async () => {
    const { controller, device, close } = await sessionPair()
    await controller.loggedIn()
    device.onData = async () => {
      await device.close()
      await new Promise(() => undefined)
    }
    await controller.write(Uint8Array.of(1))
    expect(await device.ended).toEqual({ kind: 'closedHere' })
    expect(await controller.ended).toEqual({ kind: 'closedByPeer', text: '' })
    await close()
  })

  it('ends without a word when one side is cut off', async () => {
    const { controller, device, close } = await sessionPair()
    await controller.loggedIn()
    await controller.abandon()
    expect(await device.ended).toEqual({ kind: 'ended' })
    await close()
  })

  it('lets a wrong password be corrected on the same connection', async () => {
    const { controller, host, close } = await sessionPair({ password: 'wrong' })
    await expect(controller.loggedIn()).rejects.toThrow(LoginRefusedError)
    expect(host.failures.total).toBe(1)
    await controller.retryLogin('Test-Pass-1')
    expect(controller.peerInfo?.platform).toBe('Linux')
    await close()
  })

  it('refuses a login that is meant for another device', async () => {
    const { controller, device, close } = await sessionPair({ deviceId: '999888777' })
    await expect(controller.loggedIn()).rejects.toThrow(LOGIN_TEXTS.offline)
    expect(await device.ended).toEqual({ kind: 'refused', text: LOGIN_TEXTS.offline })
    await close()
  })

  it('leaves an empty password unanswered and accepts the right one later', async () => {
    const { controller, device, host, close } = await sessionPair({ password: null, isSecure: false })
    const hash = await new Promise<wire.Hash.$Properties>((resolve) => {
      controller.onMessage = ({ hash }) => hash && resolve(hash)
    })
    while (!device.loginRequest) await new Promise((resolve) => setImmediate(resolve))
    expect(device.isAuthorized).toBe(false)
    const password = await passwordProof('Test-Pass-1', host.salt, hash.challenge ?? '')
    controller.send({ loginRequest: { username: DEVICE_ID, password, myId: '444555666' } })
    await controller.loggedIn()
    expect(device.isAuthorized).toBe(true)
    await close()
  })

  it('takes no data before the login', async () => {
    const { controller, device, close } = await sessionPair({ password: null })
    const taken: Uint8Array[] = []
    device.onData = (block) => void taken.push(block)
    await controller.write(Uint8Array.of(1, 2, 3))
    while (!device.loginRequest) await new Promise((resolve) => setImmediate(resolve))
    expect(taken).toEqual([])
    await close()
  })

  it('is given up by the device when the controller is silent for 30 s', async () => {
    const clock = scaledClock(0.02)
    const [silent, deviceLink] = await linkPair(clock)
    const device = await DeviceSession.open(deviceLink, sessionHost(clock), { path: 'relay', isSecure: false })
    const startedAtMs = clock.now()
    expect(await device?.ended).toEqual({ kind: 'idle' })
    expect(clock.now() - startedAtMs).toBeGreaterThanOrEqual(29_000)
    await silent.close()
  })

  it('does not come about when the device is not the one that the server vouches for', async () => {
    const [controllerLink, deviceLink] = await linkPair(systemClock)
    const deviceSide = DeviceSession.open(deviceLink, sessionHost(systemClock), { path: 'direct', isSecure: true })
    const impostor = { id: DEVICE_ID, publicKey: new Uint8Array(32).fill(1) }
    await expect(shakeHands(new PeerStream(controllerLink), impostor, 'refuse')).rejects.toThrow('Handshake failed')
    await controllerLink.close()
    expect(await deviceSide).toBeUndefined()
  })
})
