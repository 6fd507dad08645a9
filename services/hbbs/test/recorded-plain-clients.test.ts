import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { ENDED, type Link, nodeDialler, systemClock } from '@tryst/client'
import { decodeBase64, decodeRendezvous, type RendezvousMessage } from '@tryst/protocol'
import { nodeSigner } from '@tryst/service'
import { TestServers } from './secure/server.ts'

jest.setTimeout(60_000)

interface RecordedEvent {
  readonly conn: string
  readonly from: string
  readonly kind: string
  readonly hex?: string
  readonly decoded?: unknown
}

interface Recordings {
  readonly keys: { readonly serverPublicText: string; readonly serverSecretText: string }
  readonly recordings: readonly {
    readonly name: string
    readonly clients: Readonly<Record<string, string>>
    readonly connections: Readonly<
      Record<string, { client: string; server?: string; transport: string; keyExchange?: { sessionKey?: string } }>
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

/** How RegisterPeer and RegisterPk begin. */
const REGISTRATION = /^(32|7a)/

type Kind = NonNullable<RendezvousMessage['union']>

/** What each message is answered with by a server that knows no device; undefined: the connection just ends. */
const ANSWERS: Partial<Record<Kind, Kind | 'the end'>> = {
  registerPeer: 'registerPeerResponse',
  registerPk: 'registerPkResponse',
  testNatRequest: 'testNatResponse',
  onlineRequest: 'onlineResponse',
  punchHoleRequest: 'punchHoleResponse',
  requestRelay: 'relayResponse',
  punchHoleSent: 'the end',
  localAddr: 'the end',
  relayResponse: 'the end',
}

/** What stock clients said in the clear on one connection to the ID server, or by UDP. */
const connections = recordings.flatMap(({ name, clients, connections, events }) =>
  Object.entries(connections).flatMap(([conn, { client, server, transport, keyExchange }]) => {
    if (!server?.startsWith('hbbs') || keyExchange?.sessionKey) return []
    const own = events.filter((event) => event.conn === conn && event.kind === 'message' && event.from === client)
    const sent = own.flatMap(({ hex, decoded }) => (hex && decoded !== null ? [hex] : []))
    const version = clients[client] ?? ''
    return sent.length === 0 ? [] : [{ title: `${name}, ${conn} (${version})`, version, transport, server, sent }]
  }),
)

const describeRecorded = missing ? describe.skip : describe

describeRecorded(`stock clients in the clear${missing ? ` (${missing})` : ''}`, () => {
  /** One that devices register with, and one that knows no device: where it is asked for one, it answers. */
  const servers: TestServers[] = []
  const start = () =>
    TestServers.start(1, {
      signer: nodeSigner(decodeBase64(keys.serverSecretText) ?? new Uint8Array(0)),
      expectedKey: keys.serverPublicText,
      // All of them come from one address here.
      env: { NEW_IDS_PER_MINUTE: '10000', NEW_IDS_PER_DAY: '10000' },
    })
  beforeAll(async () => void servers.push(await start(), await start()))
  afterAll(async () => void (await Promise.all(servers.map((server) => server.close()))))

  it('were recorded over every transport, of three versions', () => {
    expect(new Set(connections.map(({ transport }) => transport))).toEqual(new Set(['tcp', 'udp', 'ws']))
    expect(new Set(connections.map(({ version }) => version))).toEqual(new Set(['1.3.9', '1.4.9', '7423dce']))
  })

  it.each(connections.map((one) => [one.title, one] as const))('are answered: %s', async (_, one) => {
    // A punch socket is answered where a device is registered behind its address.
    const server = servers[one.transport === 'udp' || one.sent.some((hex) => REGISTRATION.test(hex)) ? 0 : 1]
    const { main = 0, natTest = 0, webSocket = 0 } = server?.nodes[0]?.ports ?? {}
    if (one.transport === 'udp') return playDatagrams(one.sent, main)
    const options = { limitMs: 10_000, clock: systemClock }
    const port = one.server === 'hbbs-nat' ? natTest : main
    const link =
      one.transport === 'ws'
        ? await nodeDialler.webSocket(`ws://127.0.0.1:${webSocket}`, options)
        : await nodeDialler.tcp({ host: '127.0.0.1', port }, options)
    try {
      await playLink(link, one.sent)
    } finally {
      await link.close()
    }
  })

  it('are offered nothing, since they send at once', () => {
    const offered = servers.map(({ nodes }) => nodes[0]?.server.counters.keyExchanges.offered)
    expect(offered).toEqual([0, 0])
  })
})

async function playLink(link: Link, sent: readonly string[]): Promise<void> {
  for (const hex of sent) {
    const message = Buffer.from(hex, 'hex')
    link.send(message)
    const payload = await link.next(10_000)
    const answer = payload === ENDED || payload === 'timeout' ? payload : decodeRendezvous(payload).union
    const expected = ANSWERS[decodeRendezvous(message).union ?? 'hc']
    expect(answer).toBe(expected === 'the end' ? ENDED : expected)
  }
}

async function playDatagrams(sent: readonly string[], port: number): Promise<void> {
  const socket = createSocket('udp4')
  try {
    socket.connect(port, '127.0.0.1')
    await once(socket, 'connect')
    for (const hex of sent) {
      const message = Buffer.from(hex, 'hex')
      const kind = decodeRendezvous(message).union ?? 'hc'
      // Of a device that was asked: here nobody asked it.
      if (kind === 'punchHoleSent') continue
      const answered = once(socket, 'message', { signal: AbortSignal.timeout(10_000) })
      socket.send(message)
      const [datagram] = (await answered) as [Buffer]
      const expected = kind === 'testNatRequest' ? 'testNatResponse' : ANSWERS[kind]
      expect(decodeRendezvous(datagram).union).toBe(expected)
    }
  } finally {
    socket.close()
  }
}
