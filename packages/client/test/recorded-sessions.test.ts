import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { decodeSession, encodeSession, passwordProof, type SessionMessage } from '@tryst/protocol/session'
import { shakeHands } from '../src/controller-handshake.ts'
import { ControllerSession, type SessionKind } from '../src/controller-session.ts'
import { DeviceSession } from '../src/device-session.ts'
import type { Link } from '../src/link.ts'
import { PeerStream } from '../src/peer-stream.ts'
import { linkPair, sessionHost } from './link-pair.ts'
import { missing, type RecordedFrame, type RecordedSession, sessions } from './recordings.ts'
import { SteadyClock } from './steady-clock.ts'

const PASSWORD = 'Test-Pass-1'
const LIMIT_MS = 50_000

/** What our device leaves out of a stock device's session: it has no screen, pointer, files or terminal. */
const NOT_BY_DEVICE = /^(cursor_data|peer_info|video_frame|file_response|terminal_response)/
/** What a stock controller sends because of its user: ours sends what its caller asks for. */
const BY_USER = /^(mouse_event|key_event|misc\.(chat_message|refresh_video)|file_action|file_response|terminal_action)/

const KINDS: Record<string, SessionKind> = { files: 'fileTransfer', terminal: 'terminal' }

const names = sessions.map(({ name }) => [name])
const describeRecorded = missing ? describe.skip : describe
const sessionNamed = (name: string) => sessions.find((recorded) => recorded.name === name) as RecordedSession
const bytesOf = ({ hex = '' }: RecordedFrame) => Uint8Array.from(Buffer.from(hex, 'hex'))

/** The member of a message, and within login_response and misc its own member, as the recordings name it. */
function nameOf(payload: Uint8Array): string {
  if (payload.length === 0) return 'empty frame'
  const message = decodeSession(payload)
  const snake = (text: string | undefined) => (text ?? '').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  const inner = message.loginResponse?.union ?? message.misc?.union
  return inner ? `${snake(message.union)}.${snake(inner)}` : snake(message.union)
}

async function read(link: Link): Promise<Uint8Array> {
  const payload = await link.next(LIMIT_MS)
  if (typeof payload === 'string') throw new Error(`no message: ${payload}`)
  return payload
}

describeRecorded(`sessions of stock clients${missing ? ` (${missing})` : ''}`, () => {
  let clock: SteadyClock
  beforeAll(() => {
    clock = new SteadyClock()
  })
  afterAll(() => clock.stop())

  it.each(missing ? [['none']] : names)(
    'has our device in %s say what the recorded device said',
    async (name) => {
      const { frames } = sessionNamed(name)
      const [link, deviceLink] = await linkPair(clock)
      const opening = DeviceSession.open(deviceLink, sessionHost(clock), { path: 'direct', isSecure: true })
      const said: { name: string; message: SessionMessage; atMs: number }[] = []
      let hash: { salt: string; challenge: string } | undefined
      const startedAtMs = clock.now()
      const listening = (async () => {
        for (;;) {
          const payload = await link.next(LIMIT_MS)
          if (typeof payload === 'string') return
          const message = decodeSession(payload)
          said.push({ name: nameOf(payload), message, atMs: clock.now() - startedAtMs })
          if (message.hash) hash = { salt: message.hash.salt ?? '', challenge: message.hash.challenge ?? '' }
          if (message.testDelay) link.send(payload)
        }
      })()
      for (const frame of frames) {
        if (frame.from !== 'controller' || frame.name.startsWith('(') || frame.name === 'test_delay') continue
        const dueMs = startedAtMs + frame.t * 1_000
        await new Promise<void>((resolve) => clock.after(dueMs - clock.now(), resolve))
        if (frame.name !== 'login_request') link.send(bytesOf(frame))
        else {
          while (!hash) await new Promise<void>((resolve) => clock.after(1, resolve))
          const request = decodeSession(bytesOf(frame)).loginRequest
          const password = name === 'wrong-password' ? 'wrong' : PASSWORD
          link.send(
            encodeSession({
              loginRequest: { ...request, password: await passwordProof(password, hash.salt, hash.challenge) },
            }),
          )
        }
      }
      const session = await opening
      expect(await session?.ended).toEqual({ kind: 'closedByPeer', text: '' })
      await listening
      await link.close()

      const recorded = frames.filter(
        ({ from, name }) => from === 'device' && !name.startsWith('(') && !NOT_BY_DEVICE.test(name),
      )
      const withoutProbes = (list: readonly { name: string }[]) =>
        list.map(({ name }) => name).filter((n) => n !== 'test_delay')
      expect(withoutProbes(said)).toEqual(withoutProbes(recorded))
      const probesAt = said.filter(({ name }) => name === 'test_delay').map(({ atMs }) => atMs)
      const recordedProbesAt = recorded.filter(({ name }) => name === 'test_delay').map(({ t }) => t * 1_000)
      expect(probesAt).toHaveLength(recordedProbesAt.length)
      for (const [i, atMs] of recordedProbesAt.entries()) {
        expect(Math.abs(atMs - (probesAt[i] ?? Number.NaN))).toBeLessThan(200)
      }
      const error = said.find(({ message }) => message.loginResponse?.error)?.message.loginResponse?.error
      expect(error).toBe(name === 'wrong-password' ? 'Wrong Password' : undefined)
    },
    120_000,
  )

  it.each(missing ? [['none']] : names)(
    'has our controller in %s say what the recorded controller said',
    async (name) => {
      const { frames } = sessionNamed(name)
      const [link, controllerLink] = await linkPair(clock)
      const login = {
        deviceId: '111222333',
        password: name === 'wrong-password' ? 'wrong' : PASSWORD,
        ownId: '444555666',
        ownName: 'Rdp2',
        kind: KINDS[name] ?? 'desktop',
      }
      const stream = new PeerStream(controllerLink)
      await shakeHands(stream, undefined, 'accept')
      const session = ControllerSession.create(stream, login, 'direct')
      for (const frame of frames) {
        if (frame.name.startsWith('(') || BY_USER.test(frame.name)) continue
        if (frame.from === 'device') {
          link.send(bytesOf(frame))
          continue
        }
        if (frame.name === 'misc.close_reason') void session.close()
        const said = await read(link)
        expect(nameOf(said)).toBe(frame.name)
        if (frame.name === 'login_request') expect(comparable(said, name)).toEqual(comparable(bytesOf(frame), name))
        else expect(Buffer.from(said).toString('hex')).toBe(frame.hex ?? '')
      }
      expect(await session.ended).toEqual({ kind: 'closedHere' })
      const outcome = await session.loggedIn().catch((error: Error) => error.message)
      expect(outcome).toBe(name === 'wrong-password' ? 'Wrong Password' : undefined)
      await link.close()
    },
    120_000,
  )
})

/** A login without what is random, or was chosen by the user: session id, a wrong password, the preferred codec. */
function comparable(payload: Uint8Array, name: string): unknown {
  const { loginRequest } = JSON.parse(JSON.stringify(decodeSession(Uint8Array.from(payload))))
  expect(loginRequest.sessionId).not.toBe('0')
  delete loginRequest.sessionId
  delete loginRequest.option?.supportedDecoding?.prefer
  if (name === 'wrong-password') delete loginRequest.password
  return loginRequest
}
