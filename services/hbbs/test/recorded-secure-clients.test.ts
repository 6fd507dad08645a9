import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { decodeBase64, decodeRendezvous, type RendezvousMessage } from '@tryst/protocol'
import { boxKeyPairOf, RecordLayer } from '@tryst/protocol/secure-tcp'
import { nodeSigner } from '@tryst/service'
import { eventually, RawClient } from './secure/raw-client.ts'
import { TestServers } from './secure/server.ts'

jest.setTimeout(60_000)

interface RecordedEvent {
  readonly conn: string
  readonly from: string
  readonly kind: string
  readonly hex?: string
  readonly plain?: string
}

interface Recordings {
  readonly keys: { readonly serverPublicText: string; readonly serverSecretText: string }
  readonly recordings: readonly {
    readonly name: string
    readonly connections: Readonly<
      Record<string, { client: string; keyExchange?: { serverEphemeralSecret: string; sessionKey?: string } }>
    >
    readonly events: readonly RecordedEvent[]
  }[]
}

const folder = process.env.VECTORS_DIR ?? resolve(import.meta.dirname, '../../../../shared/vectors')
const path = join(folder, 'real-clients.json')
const missing = existsSync(path) ? undefined : `no recordings in ${folder}; set VECTORS_DIR`
const { keys, recordings }: Recordings = missing
  ? { keys: { serverPublicText: '', serverSecretText: '' }, recordings: [] }
  : JSON.parse(readFileSync(path, 'utf8'))

/** One connection of a stock client that took the server's offer: what it sent, and the keys of both sides. */
const connections = recordings.flatMap((recording) =>
  Object.entries(recording.connections).flatMap(([conn, { client, keyExchange }]) => {
    const { serverEphemeralSecret, sessionKey } = keyExchange ?? {}
    if (!serverEphemeralSecret || !sessionKey) return []
    const messages = recording.events.filter((event) => event.conn === conn && event.kind === 'message')
    const offer = messages.find(({ from }) => from !== client)?.hex ?? ''
    const sent = messages.filter(({ from }) => from === client)
    return [{ title: `${recording.name}, ${conn}`, serverEphemeralSecret, sessionKey, offer, sent }]
  }),
)

/** Empty frames answer those of the server that was recorded. */
const isBeat = ({ hex }: RecordedEvent) => hex === '' || hex === undefined

const opened: { close(): unknown }[] = []
const keep = <T extends { close(): unknown }>(one: T): T => {
  opened.push(one)
  return one
}
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close()
})

const describeRecorded = missing ? describe.skip : describe

describeRecorded(`stock clients that took an offer of encryption${missing ? ` (${missing})` : ''}`, () => {
  it('were recorded', () => expect(connections.length).toBeGreaterThan(20))

  it.each(connections.map((one) => [one.title, one] as const))('are served byte for byte: %s', async (_, one) => {
    const servers = keep(
      await TestServers.start(1, {
        signer: nodeSigner(decodeBase64(keys.serverSecretText) ?? new Uint8Array(0)),
        expectedKey: keys.serverPublicText,
        createKeyPair: () => boxKeyPairOf(Buffer.from(one.serverEphemeralSecret, 'hex')),
      }),
    )
    const [node] = servers.nodes
    const client = keep(await RawClient.connect(node?.ports.main ?? 0))
    // The signature does not vary, so the offer is the very one that the client answered.
    const { payload } = await client.next()
    expect(Buffer.from(payload).toString('hex')).toBe(one.offer)
    const records = new RecordLayer(Buffer.from(one.sessionKey, 'hex'))
    const [answer, ...requests] = one.sent
    client.sendPayload(Buffer.from(answer?.hex ?? '', 'hex'))
    for (const request of requests.filter((event) => !isBeat(event))) {
      client.sendPayload(Buffer.from(request.hex ?? '', 'hex'))
      const asked = decodeRendezvous(Buffer.from(request.plain ?? '', 'hex'))
      if (asked.union === 'hc') {
        await eventually(() => node?.server.kept.sessions === 1, 'the session')
        continue
      }
      const received = await client.next()
      expectAnswer(asked, decodeRendezvous(records.open(received.payload)))
    }
    expect(node?.server.counters.keyExchanges).toMatchObject({ offered: 1, encrypted: 1, unreadable: 0 })
  })
})

/** What a server without devices and without an API says. */
function expectAnswer(asked: RendezvousMessage, answer: RendezvousMessage): void {
  switch (asked.union) {
    case 'punchHoleRequest':
      return expect(answer.punchHoleResponse).toMatchObject({ failure: 0, otherFailure: '' })
    case 'requestRelay':
      return expect(answer.relayResponse?.refuseReason).toBe('ID does not exist')
    case 'registerPk':
      return expect(answer.registerPkResponse).toMatchObject({ result: 0, keepAlive: 20 })
    case 'httpProxyRequest':
      return expect(answer.httpProxyResponse?.error).toBe('This server has no API')
    default:
      throw new Error(`a stock client is not known to send ${asked.union} here`)
  }
}
