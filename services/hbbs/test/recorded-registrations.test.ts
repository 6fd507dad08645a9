import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { ENDED, type Link, nodeDialler, systemClock } from '@tryst/client'
import { decodeRendezvous, encodeRendezvous, type RendezvousMessage } from '@tryst/protocol'
import { boxKeyPairOf, RecordLayer } from '@tryst/protocol/secure-tcp'
import type { PeerId } from '@tryst/rendezvous'
import { HbbsInProcess } from './hbbs-in-process.ts'

interface RecordedConnection {
  readonly client: string
  readonly server: string
  readonly transport: string
  readonly keyExchange?: { readonly serverEphemeralSecret: string; readonly sessionKey: string }
}

interface RecordedEvent {
  readonly t: number
  readonly conn: string
  readonly from: string
  readonly kind: string
  readonly hex?: string
  readonly plain?: string
}

interface Recording {
  readonly name: string
  readonly connections: Readonly<Record<string, RecordedConnection>>
  readonly events: readonly RecordedEvent[]
}

const folder = process.env.VECTORS_DIR ?? resolve(import.meta.dirname, '../../../../shared/vectors')
const file = join(folder, 'real-clients.json')
const missing = existsSync(file) ? undefined : `no recordings in ${folder}; set VECTORS_DIR`
const { recordings, keys, ids } = (
  missing
    ? { recordings: [], keys: { serverSecretText: '' }, ids: { device: '' } }
    : JSON.parse(readFileSync(file, 'utf8'))
) as { recordings: Recording[]; keys: { serverSecretText: string }; ids: { device: string } }

/** What stock devices do that register over a connection. */
const PLAYED = [
  'tcp-registration',
  'tcp-registration-delayed-key-exchange',
  'tcp-registration-silent-server',
  'ws-registration',
  'ws-registration-reference',
  'relay-ws-device',
] as const

const CLIENT_IP = '127.0.0.3'
const KEEP_ALIVE_SECONDS = 4
const ANSWER_WITHIN_MS = 15_000
const REGISTER_PK = '7a'
const NOTHING = new Uint8Array()

// The server takes its time on a busy machine.
jest.setTimeout(90_000)

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** Plays the device's side of one recorded connection, and reads what the server says, encrypted or not. */
class RecordedClient {
  readonly #records: RecordLayer | undefined
  #isEncrypted = false

  constructor(
    private readonly link: Link,
    private readonly events: readonly RecordedEvent[],
    sessionKey: string | undefined,
  ) {
    this.#records = sessionKey === undefined ? undefined : new RecordLayer(Buffer.from(sessionKey, 'hex'))
  }

  /** Sends what the device sent until it was registered, each time after the server had said what it waited for. */
  async register(): Promise<RendezvousMessage> {
    for (const { from, hex = '', plain } of this.events) {
      if (from !== 'device' || hex === '') continue
      const isAnswerToOffer = hex.startsWith('ca01')
      if (isAnswerToOffer) expect((await this.next()).keyExchange?.keys).toHaveLength(1)
      // As it was on the wire: a record of theirs, or clear text.
      this.link.send(Buffer.from(hex, 'hex'))
      if (isAnswerToOffer) this.#isEncrypted = true
      if ((plain ?? hex).startsWith(REGISTER_PK)) return this.next()
    }
    throw new Error('this connection registers nothing')
  }

  /** The next message that says something; beats before it are answered. */
  async next(): Promise<RendezvousMessage> {
    for (;;) {
      const payload = await this.nextPayload()
      if (payload.length > 0) return decodeRendezvous(this.#isEncrypted ? this.#open(payload) : payload)
      this.link.send(NOTHING)
    }
  }

  async nextPayload(): Promise<Uint8Array> {
    const payload = await this.link.next(ANSWER_WITHIN_MS)
    if (payload === ENDED || payload === 'timeout') throw new Error(`the server said nothing: ${payload}`)
    return payload
  }

  answerBeat(): void {
    this.link.send(NOTHING)
  }

  #open(payload: Uint8Array): Uint8Array {
    if (!this.#records) throw new Error('there is no session key')
    return this.#records.open(payload)
  }
}

const suite = missing ? describe.skip : describe

suite(`what stock devices send that register over a connection${missing ? ` (${missing})` : ''}`, () => {
  async function play(name: string) {
    const recording = recordings.find((one) => one.name === name)
    const isRegistration = ({ hex = '', plain = hex, from }: RecordedEvent) =>
      from === 'device' && plain.startsWith(REGISTER_PK)
    const label = recording?.events.find(isRegistration)?.conn ?? ''
    const connection = recording?.connections[label]
    if (!recording || !connection) throw new Error(`${name} has no registration`)
    const { keyExchange, transport } = connection
    const server = await HbbsInProcess.start({
      key: keys.serverSecretText,
      env: { KEEP_ALIVE_SECONDS: `${KEEP_ALIVE_SECONDS}` },
      createKeyPair: () => boxKeyPairOf(Buffer.from(keyExchange?.serverEphemeralSecret ?? '', 'hex')),
    })
    closers.push(() => server.close())
    const { ports } = server.hbbs
    const options = { limitMs: 10_000, clock: systemClock, localAddress: CLIENT_IP }
    const link =
      transport === 'ws'
        ? await nodeDialler.webSocket(`ws://127.0.0.1:${ports.webSocket}`, options)
        : await nodeDialler.tcp({ host: '127.0.0.1', port: ports.main }, options)
    closers.push(() => link.close())
    const events = recording.events.filter(({ conn }) => conn === label)
    return { server, client: new RecordedClient(link, events, keyExchange?.sessionKey), ports }
  }

  it.each(PLAYED)('%s: is registered, beaten, pushed to, and offline when it has gone', async (name) => {
    const { server, client, ports } = await play(name)
    const answer = await client.register()
    expect(answer.registerPkResponse).toMatchObject({ result: 0, keepAlive: KEEP_ALIVE_SECONDS })
    const { presence, kept } = server.hbbs.server
    const isOnline = () => presence.isOnline(ids.device as PeerId, Date.now())
    expect(isOnline()).toBe(true)
    // An empty message as it is, encrypted connection or not.
    for (let beat = 0; beat < 2; beat++) {
      expect(await client.nextPayload()).toHaveLength(0)
      client.answerBeat()
    }
    const controller = await nodeDialler.tcp(
      { host: '127.0.0.1', port: ports.main },
      { limitMs: 10_000, clock: systemClock },
    )
    closers.push(() => controller.close())
    const licenceKey = publicText()
    controller.send(encodeRendezvous({ punchHoleRequest: { id: ids.device, natType: 1, licenceKey } }))
    expect((await client.next()).punchHole?.socketAddr).not.toHaveLength(0)
    await closers.splice(1, 1)[0]?.()
    const deadline = performance.now() + ANSWER_WITHIN_MS
    while (isOnline() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
    expect([isOnline(), kept.devices]).toEqual([false, 0])
  })
})

/** What users enter as the key: the second half of the secret one. */
const publicText = () => Buffer.from(keys.serverSecretText, 'base64').subarray(32).toString('base64')
