import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { encodeFrame, encodeRendezvous, frameHeader } from '@tryst/protocol'
import type { SitePorts } from '../src/site/free-ports.ts'
import { eachOf } from '../src/site/pool.ts'
import { RawConnection } from '../src/site/raw-connection.ts'
import { RawDevice } from '../src/site/raw-device.ts'
import { Site, type SiteOptions } from '../src/site/site.ts'
import { waitUntil } from '../src/site/wait-until.ts'
import { StreamClient } from '../src/transcripts/tcp-client.ts'
import type { WsClient } from '../src/transcripts/ws-client.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(60_000)

type Port = keyof SitePorts
const ID_SERVER_PORTS: readonly Port[] = ['main', 'natTest', 'webSocket']
const RELAY_PORTS: readonly Port[] = ['relay', 'relayWebSocket']
const ALL_PORTS: readonly Port[] = [...ID_SERVER_PORTS, ...RELAY_PORTS]
const WEB_SOCKET_PORTS: readonly Port[] = ['webSocket', 'relayWebSocket']
const FRAME_PORTS: readonly Port[] = ['main', 'natTest', 'relay']

const MEBIBYTE = 1 << 20
const PER_SOURCE = 20
const TOTAL = 40
const WAITING = 5
const SOURCE = '127.0.5.1'
const OTHER_SOURCE = '127.0.5.2'

let site: Site

const startOnce = (options: SiteOptions) => {
  beforeAll(async () => {
    site = await Site.start(options)
  })
  afterEach(() => site?.dismissGuests())
  afterAll(() => site?.close())
}

const open = (port: Port, from = SOURCE) => RawConnection.open(site, port, { from })

function openMany(port: Port, count: number, from?: (i: number) => string): Promise<RawConnection[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => open(port, from?.(i))))
}

/** That the connection is served, as its port serves. */
async function expectServed(connection: RawConnection, port: Port): Promise<void> {
  if (ID_SERVER_PORTS.includes(port)) {
    expect((await connection.ask({ testNatRequest: { serial: 3 } })).testNatResponse?.port).toBeGreaterThan(0)
    return
  }
  await pair(connection, await open(port, OTHER_SOURCE))
}

const relayRequest = (uuid: string) => ({ requestRelay: { uuid, licenceKey: site.key } })

async function pair(first: RawConnection, second: RawConnection): Promise<void> {
  const uuid = randomUUID()
  first.send(relayRequest(uuid))
  second.send(relayRequest(uuid))
  await expectJoined(first, second)
}

async function expectJoined(first: RawConnection, second: RawConnection): Promise<void> {
  const word = randomUUID()
  first.sendPayload(Buffer.from(word))
  expect(Buffer.from(await second.nextPayload()).toString()).toBe(word)
}

/** The server refuses the connection, before or after an upgrade. */
async function expectRefused(port: Port, from = SOURCE): Promise<void> {
  await open(port, from).then(
    (connection) => connection.ended(),
    (error: Error) => expect(error.message).toMatch(/ECONNRESET|no answer to the upgrade/),
  )
}

/** Connections that have proved to be clients, and how to see that they still are. */
async function prove(port: Port, count: number, from?: (i: number) => string): Promise<() => Promise<void>> {
  const connections = await openMany(port, count, from)
  if (RELAY_PORTS.includes(port)) {
    const pairs = connections.slice(count / 2).map((second, i) => [connections[i] as RawConnection, second] as const)
    for (const [first, second] of pairs) await pair(first, second)
    return async () => {
      for (const [first, second] of pairs) await expectJoined(first, second)
    }
  }
  const device = await RawDevice.online(site)
  const handles: Uint8Array[] = []
  for (const connection of connections) {
    connection.send({ punchHoleRequest: { id: device.id, licenceKey: site.key, natType: 2 } })
    const { punchHole } = await device.next()
    handles.push(punchHole?.socketAddr ?? new Uint8Array(0))
  }
  return async () => {
    for (const [i, connection] of connections.entries()) {
      const uuid = randomUUID()
      const answer = await open('main', '127.0.0.1')
      const socketAddr = handles[i] as Uint8Array
      answer.send({ relayResponse: { socketAddr, uuid, relayServer: 'a:1', id: device.id, version: '1.4.9' } })
      await answer.ended()
      expect((await connection.next()).relayResponse?.uuid).toBe(uuid)
    }
  }
}

describe('connections of one address', () => {
  const env = { CONNECTIONS_PER_SOURCE: `${PER_SOURCE}` }
  startOnce({ hbbs: { env }, hbbr: { env } })

  it.each(ALL_PORTS)('to %s give way, the oldest first, while they have said nothing', async (port) => {
    const idle: RawConnection[] = []
    for (let i = 0; i < PER_SOURCE; i++) idle.push(await open(port))
    await expectServed(await open(port), port)
    await idle[0]?.ended()
    await expectServed(idle[PER_SOURCE - 1] as RawConnection, port)
    await expectServed(await open(port, OTHER_SOURCE), port)
  })

  it.each(['main', 'webSocket', 'relay', 'relayWebSocket'] as const)(
    'to %s that have proved to be clients stay, and the newcomer is refused until one leaves',
    async (port) => {
      const expectAllThere = await prove(port, PER_SOURCE)
      await expectRefused(port)
      await expectAllThere()
      const service = RELAY_PORTS.includes(port) ? site.hbbr : site.hbbs
      const { remedy } = await waitUntil('the limit is logged', () =>
        service.log.find(({ limit, source }) => limit === 'connections_per_source' && source === SOURCE),
      )
      expect(remedy).toContain('CONNECTIONS_PER_SOURCE')
      await expectServed(await open(port, OTHER_SOURCE), port)
      await site.dismissGuests()
      await waitUntil('there is room again', async () => {
        const connection = await open(port)
        return expectServed(connection, port).then(
          () => true,
          () => false,
        )
      })
    },
  )
})

describe('connections of all addresses', () => {
  const totals = { CONNECTIONS_TOTAL: `${TOTAL}`, RELAY_CONNECTIONS_TOTAL: `${TOTAL}` }
  startOnce({ hbbs: { env: totals }, hbbr: { env: totals } })
  const addressOf = (i: number) => `127.0.6.${i + 1}`

  it.each(['main', 'relay'] as const)(
    'to %s give way, the oldest first, while they have said nothing',
    async (port) => {
      const idle: RawConnection[] = []
      for (let i = 0; i < TOTAL; i++) idle.push(await open(port, addressOf(i)))
      const newcomer = await open(port, addressOf(TOTAL))
      await idle[0]?.ended()
      await expectServed(newcomer, port)
    },
  )

  it.each(['main', 'relay'] as const)('to %s that have proved to be clients stay', async (port) => {
    const expectAllThere = await prove(port, TOTAL, addressOf)
    await expectRefused(port, addressOf(TOTAL))
    // For the ID server's, devices would have to answer, and there is no connection left for that.
    if (port === 'relay') await expectAllThere()
    const service = port === 'relay' ? site.hbbr : site.hbbs
    await waitUntil('the limit is logged', () => service.log.some(({ limit }) => limit === 'connections_total'))
  })
})

describe('the first message', () => {
  const env = { FIRST_MESSAGE_SECONDS: '1' }
  startOnce({ hbbs: { env }, hbbr: { env } })

  /** Sends a byte now and then; how long the server put up with it. */
  async function trickle(client: StreamClient, bytes: Uint8Array, action?: () => void): Promise<number> {
    const startedMs = performance.now()
    let at = 0
    const timer = setInterval(() => (action ? action() : client.sendBytes(bytes.subarray(at, ++at))), 100)
    const ending = await client.ended(10_000)
    clearInterval(timer)
    client.close()
    if (!ending) throw new Error('the server waits for more than 10 s')
    return performance.now() - startedMs
  }
  const tolerableMs = 3_500

  it.each(FRAME_PORTS)('to %s has a deadline, even when it trickles in', async (port) => {
    const { client } = await open(port)
    const spentMs = await trickle(client, Buffer.concat([frameHeader(4_000), new Uint8Array(100)]))
    expect(spentMs).toBeLessThan(tolerableMs)
  })

  it.each(FRAME_PORTS)('to %s has a deadline, when nothing comes', async (port) => {
    const { client } = await open(port)
    expect(await client.ended(tolerableMs)).toBeDefined()
  })

  it.each(WEB_SOCKET_PORTS)('to %s has a deadline, the upgrade included', async (port) => {
    const client = new StreamClient(SOURCE, { ip: site.server.host, port: site.ports[port] })
    await client.open()
    const spentMs = await trickle(client, Buffer.from(`GET / HTTP/1.1\r\nX-Long: ${'x'.repeat(100)}`))
    expect(spentMs).toBeLessThan(tolerableMs)
  })

  it.each(WEB_SOCKET_PORTS)('to %s has a deadline behind the upgrade', async (port) => {
    const { client } = await open(port)
    const spentMs = await trickle(
      client,
      Buffer.concat([Uint8Array.of(0x82, 0xfe, 1, 0, 0, 0, 0, 0), Buffer.alloc(100)]),
    )
    expect(spentMs).toBeLessThan(tolerableMs)
  })

  it.each(WEB_SOCKET_PORTS)('to %s cannot be put off by pings', async (port) => {
    const { client } = await open(port)
    const spentMs = await trickle(client, Buffer.alloc(0), () =>
      (client as WsClient).sendFrame('ping', Buffer.alloc(0)),
    )
    expect(spentMs).toBeLessThan(tolerableMs)
  })
})

describe('a message', () => {
  startOnce({})
  const limits = { main: 65_536, natTest: 65_536, webSocket: 65_536, relay: 4_096, relayWebSocket: 4_096 }

  it.each(FRAME_PORTS)('to %s above the limit is refused as soon as its length is known', async (port) => {
    const { client } = await open(port)
    client.sendBytes(frameHeader(limits[port] + 1))
    expect(await client.ended(5_000)).toBeDefined()
    const { client: huge } = await open(port)
    huge.sendBytes(Uint8Array.of(0xff, 0xff, 0xff, 0xff))
    expect(await huge.ended(5_000)).toBeDefined()
  })

  it.each(WEB_SOCKET_PORTS)('to %s above the limit is refused as soon as its length is known', async (port) => {
    const { client } = await open(port)
    const header = Buffer.from('82ff000000000000000000000000', 'hex')
    header.writeBigUInt64BE(BigInt(limits[port] + 1), 2)
    client.sendBytes(header)
    expect(await client.ended(5_000)).toBeDefined()
  })

  it.each(WEB_SOCKET_PORTS)('to %s in pieces is refused when they are above the limit together', async (port) => {
    const { client } = await open(port)
    const piece = new Uint8Array(limits[port] / 4)
    for (let i = 0; i < 5; i++) (client as WsClient).sendFrame(i === 0 ? 'binary' : 'continuation', piece, false)
    expect(await client.ended(5_000)).toBeDefined()
  })

  it.each(ALL_PORTS)('to %s of the largest size is served', async (port) => {
    const connection = await open(port)
    const fill = (bytes: number) => 'x'.repeat(bytes)
    if (ID_SERVER_PORTS.includes(port)) {
      const empty = encodeRendezvous({ onlineRequest: { id: fill(60_000), peers: [] } }).length - 60_000
      const payload = encodeRendezvous({ onlineRequest: { id: fill(limits[port] - empty), peers: [] } })
      expect(payload.length).toBe(limits[port])
      connection.sendPayload(payload)
      expect((await connection.next()).onlineResponse).toBeDefined()
      return
    }
    const uuid = randomUUID()
    const request = (token: string) => encodeRendezvous({ requestRelay: { uuid, licenceKey: site.key, token } })
    const payload = request(fill(4_000 + limits[port] - request(fill(4_000)).length))
    expect(payload.length).toBe(limits[port])
    connection.sendPayload(payload)
    const partner = await open(port, OTHER_SOURCE)
    partner.send(relayRequest(uuid))
    await expectJoined(connection, partner)
  })
})

describe('halves that wait', () => {
  const env = { WAITING_PER_SOURCE: `${WAITING}`, WAITING_TOTAL: `${2 * WAITING}` }
  startOnce({ hbbr: { env } })

  const wait = async (port: Port, uuid: string, from?: string) => {
    const half = await open(port, from)
    half.send(relayRequest(uuid))
    return half
  }
  const uuids = (count: number) => Array.from({ length: count }, () => randomUUID() as string)

  it.each(RELAY_PORTS)(
    'at %s are bounded for each address: the newcomer is refused, those that wait stay',
    async (port) => {
      const names = uuids(WAITING)
      const waiting: RawConnection[] = []
      for (const uuid of names) waiting.push(await wait(port, uuid))
      await (await wait(port, randomUUID())).ended()
      for (const [i, half] of waiting.entries()) await expectJoined(await wait('relay', names[i] as string), half)
    },
  )

  it.each(RELAY_PORTS)('at %s are bounded in total', async (port) => {
    const names = uuids(2 * WAITING)
    const waiting: RawConnection[] = []
    for (const [i, uuid] of names.entries()) waiting.push(await wait(port, uuid, `127.0.7.${i + 1}`))
    await (await wait(port, randomUUID(), '127.0.7.100')).ended()
    for (const [i, half] of waiting.entries()) await expectJoined(await wait('relay', names[i] as string), half)
  })

  it.each(RELAY_PORTS)('at %s give their place back when they leave', async (port) => {
    for (let round = 0; round < 3; round++) {
      const waiting: RawConnection[] = []
      for (const uuid of uuids(WAITING)) waiting.push(await wait(port, uuid))
      for (const half of waiting) half.close()
    }
    const uuid = randomUUID()
    const joined = async () => {
      const [first, second] = [await wait(port, uuid), await wait(port, uuid, OTHER_SOURCE)]
      return expectJoined(first, second).then(
        () => true,
        () => false,
      )
    }
    await waitUntil('there is room for a half', joined)
  })
})

describe('memory', () => {
  startOnce({})
  const CONNECTIONS = 1_000

  /** That many connections with an unfinished message each; RSS while they are there, and after they have gone. */
  async function wave(port: Port, bytes: Uint8Array): Promise<{ held: number; after: number }> {
    const service = RELAY_PORTS.includes(port) ? site.hbbr : site.hbbs
    const clients: StreamClient[] = []
    await eachOf(Array.from({ length: CONNECTIONS }), 50, async () => {
      const { client } = await open(port)
      client.sendBytes(bytes)
      clients.push(client)
    })
    await expectServed(await open(port, OTHER_SOURCE), port)
    const held = service.residentBytes()
    await site.dismissGuests()
    await expectServed(await open(port, OTHER_SOURCE), port)
    return { held, after: service.residentBytes() }
  }

  it.each(FRAME_PORTS)('is not set aside for messages that are only announced (%s)', async (port) => {
    const announced = Buffer.concat([frameHeader(port === 'relay' ? 4_096 : 65_536), Uint8Array.of(1)])
    await wave(port, announced)
    const service = RELAY_PORTS.includes(port) ? site.hbbr : site.hbbs
    const before = service.residentBytes()
    const { held } = await wave(port, announced)
    expect(held - before).toBeLessThan(24 * MEBIBYTE)
  })

  it.each(FRAME_PORTS)('is given back when connections with half a message have gone (%s)', async (port) => {
    const half = encodeFrame(new Uint8Array(port === 'relay' ? 4_096 : 65_536)).subarray(0, -1)
    const first = await wave(port, half)
    await wave(port, half)
    const third = await wave(port, half)
    // Kept messages of the ID server would be 62 MiB more with each wave; the heap itself settles over some waves.
    expect(third.held - first.held).toBeLessThan(60 * MEBIBYTE)
    expect(third.after - first.after).toBeLessThan(60 * MEBIBYTE)
  })
})
