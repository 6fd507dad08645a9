import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { decodeRendezvous, encodeRendezvous } from '@tryst/protocol'
import { boxKeyPairOf } from '@tryst/protocol/secure-tcp'
import { systemClock } from '../src/clock.ts'
import { nodeDialler } from '../src/node-dialler.ts'
import { askApi } from '../src/proxied-request.ts'
import { clients, HTTP_PROXY_REQUEST, missing, type RecordedEvent, type Recording } from './recordings.ts'
import { StandIn } from './stand-in.ts'

jest.setTimeout(60_000)

const WAIT_MS = 20_000

/** A recorded request to the API over a connection to the ID server. */
interface Asked {
  readonly title: string
  readonly offer: RecordedEvent
  readonly request: RecordedEvent
  readonly answer: RecordedEvent
  readonly secret: string
}

const requestsOf = (recording: Recording): Asked[] =>
  Object.entries(recording.connections).flatMap(([conn, { keyExchange }]) => {
    const own = recording.events.filter((event) => event.conn === conn && event.kind === 'message')
    const [offer, , request, answer] = own
    if (!offer || !answer || !keyExchange || !request?.plain?.startsWith(HTTP_PROXY_REQUEST)) return []
    return [{ title: `${recording.name}, ${conn}`, offer, request, answer, secret: keyExchange.serverEphemeralSecret }]
  })

const recorded = clients.recordings.flatMap(requestsOf)

const opened: StandIn[] = []
afterEach(() => Promise.all(opened.splice(0).map((standIn) => standIn.close())))

async function standInWith(scheme: (standIn: StandIn) => Promise<void>) {
  const standIn = new StandIn('127.0.0.1', () => systemClock.now())
  opened.push(standIn)
  const port = await standIn.listen()
  const server = { host: '127.0.0.1', port, key: clients.keys.serverPublicText }
  const playing = scheme(standIn)
  return { network: { server, dialler: nodeDialler, transport: 'tcp', clock: systemClock } as const, standIn, playing }
}

/** What the client sent on its first connection, from the `count`th message on. */
async function sent(standIn: StandIn, count: number): Promise<string> {
  const messages = () => standIn.observed.filter(({ kind }) => kind === 'message')
  const text = () => `message ${count} of the client`
  await standIn.until(() => messages().length >= count, text, WAIT_MS)
  return messages()[count - 1]?.hex ?? ''
}

const describeRecorded = missing ? describe.skip : describe

describeRecorded(`requests to the API through the ID server${missing ? ` (${missing})` : ''}`, () => {
  it('were recorded', () => expect(recorded.length).toBeGreaterThan(10))

  it.each(recorded.map((asked) => [asked.title, asked] as const))('are sent as in %s', async (_, asked) => {
    const message = decodeRendezvous(Buffer.from(asked.request.plain ?? '', 'hex'))
    const { network, standIn, playing } = await standInWith(async (standIn) => {
      await standIn.until(
        () => standIn.peers.has('hbbs-1'),
        () => 'a connection',
        WAIT_MS,
      )
      const peer = standIn.peers.get('hbbs-1')
      peer?.offer(Buffer.from(asked.offer.hex ?? '', 'hex'), boxKeyPairOf(Buffer.from(asked.secret, 'hex')))
      await sent(standIn, 2)
      peer?.send(Buffer.from(asked.answer.plain ?? '', 'hex'))
    })
    const answer = await askApi(network, message.httpProxyRequest ?? {})
    await playing
    expect(decodeRendezvous(Buffer.from(await sent(standIn, 2), 'hex'))).toEqual(message)
    expect(answer.status).toBe(404)
  })

  it.each([
    ['an empty message', new Uint8Array(0), 'no answer to a request to the API: unreadable'],
    ['another message', encodeRendezvous({ testNatResponse: { port: 1 } }), 'no answer to a request to the API'],
    ['an error', encodeRendezvous({ httpProxyResponse: { error: 'This server has no API' } }), 'has no API'],
  ])('fail where the server answers with %s', async (_, payload, text) => {
    const { network, playing } = await standInWith(async (standIn) => {
      await standIn.until(
        () => standIn.peers.has('hbbs-1'),
        () => 'a connection',
        WAIT_MS,
      )
      const peer = standIn.peers.get('hbbs-1')
      const [first] = recorded
      if (!first) return
      peer?.offer(Buffer.from(first.offer.hex ?? '', 'hex'), boxKeyPairOf(Buffer.from(first.secret, 'hex')))
      await sent(standIn, 2)
      peer?.send(payload)
    })
    await expect(askApi(network, { method: 'GET', path: '/api/heartbeat' })).rejects.toThrow(text)
    await playing
  })
})
