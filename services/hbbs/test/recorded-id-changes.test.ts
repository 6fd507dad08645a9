import { createSocket, type Socket } from 'node:dgram'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { ENDED, nodeDialler, systemClock } from '@tryst/client'
import { decodeRendezvous, rendezvous } from '@tryst/protocol'
import { createBoxKeyPair } from '@tryst/protocol/session'
import type { PeerId } from '@tryst/rendezvous'
import { HbbsInProcess } from './hbbs-in-process.ts'

interface RecordedEvent {
  readonly transport: string
  readonly from: string
  readonly hex?: string
}

interface Recording {
  readonly name: string
  readonly events: readonly RecordedEvent[]
}

const { Result } = rendezvous.RegisterPkResponse
const folder = process.env.VECTORS_DIR ?? resolve(import.meta.dirname, '../../../../shared/vectors')
const file = join(folder, 'real-clients.json')
const missing = existsSync(file) ? undefined : `no recordings in ${folder}; set VECTORS_DIR`
const { recordings, keys } = (
  missing ? { recordings: [], keys: { serverSecretText: '' } } : JSON.parse(readFileSync(file, 'utf8'))
) as { recordings: Recording[]; keys: { serverSecretText: string } }

const CLIENT_IP = '127.0.0.3'
const ANSWER_WITHIN_MS = 15_000
const REGISTER_PK = '7a'

// The server takes its time on a busy machine.
jest.setTimeout(60_000)

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const suite = missing ? describe.skip : describe

suite(`what stock devices send whose users want another id${missing ? ` (${missing})` : ''}`, () => {
  async function start() {
    const server = await HbbsInProcess.start({ key: keys.serverSecretText, createKeyPair: createBoxKeyPair })
    closers.push(() => server.close())
    const socket = createSocket('udp4')
    await new Promise<void>((resolve) => socket.bind(0, CLIENT_IP, resolve))
    closers.push(() => new Promise((resolve) => socket.close(() => resolve())))
    return { server, socket }
  }

  async function overUdp(socket: Socket, port: number, payload: Uint8Array) {
    const answer = new Promise<Uint8Array>((resolve) => socket.once('message', resolve))
    socket.send(payload, port, '127.0.0.1')
    return decodeRendezvous(await answer).registerPkResponse?.result
  }

  /** The server answers once and closes. */
  async function overTcp(port: number, payload: Uint8Array) {
    const options = { limitMs: 10_000, clock: systemClock, localAddress: CLIENT_IP }
    const link = await nodeDialler.tcp({ host: '127.0.0.1', port }, options)
    closers.push(() => link.close())
    link.send(payload)
    const answer = await link.next(ANSWER_WITHIN_MS)
    if (answer === ENDED || answer === 'timeout') throw new Error(`the server said nothing: ${answer}`)
    expect(await link.next(ANSWER_WITHIN_MS)).toBe(ENDED)
    return decodeRendezvous(answer).registerPkResponse?.result
  }

  const sent = (name: string) =>
    (recordings.find((one) => one.name === name)?.events ?? []).filter(
      ({ from, hex, transport }) => from === 'device' && transport !== 'http' && hex?.startsWith(REGISTER_PK),
    )

  it('is answered as clients understand it, and the device is online under each new id', async () => {
    const { server, socket } = await start()
    const { ports } = server.hbbs
    const { presence } = server.hbbs.server
    const steps: unknown[] = []
    for (const { transport, hex = '' } of sent('change-id')) {
      const payload = Buffer.from(hex, 'hex')
      const { id = '', oldId } = decodeRendezvous(payload).registerPk ?? {}
      const result =
        transport === 'udp' ? await overUdp(socket, ports.main, payload) : await overTcp(ports.main, payload)
      const isOnline = (name: string) => presence.isOnline(name as PeerId, Date.now())
      steps.push([transport, id, result, isOnline(id), oldId ? isOnline(oldId) : undefined])
    }
    expect(steps).toEqual([
      ['udp', '111222333', Result.OK, true, undefined],
      ['tcp', 'renamed-1', Result.OK, false, false],
      ['udp', 'renamed-1', Result.OK, true, undefined],
      ['tcp', 'renamed-2', Result.OK, false, false],
      // The recorded client was told something else before, and asks once more.
      ['tcp', 'renamed-2', Result.OK, false, false],
    ])
  })

  it('is refused while the server does not know the device', async () => {
    const { server } = await start()
    const [{ hex = '' } = {}] = sent('change-id-reference')
    expect(await overTcp(server.hbbs.ports.main, Buffer.from(hex, 'hex'))).toBe(Result.UUID_MISMATCH)
  })
})
