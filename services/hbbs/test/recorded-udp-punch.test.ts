import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { type Link, nodeDialler, systemClock } from '@tryst/client'
import { decodeRendezvous, encodeRendezvous, type RendezvousMessage, unmangleAddress } from '@tryst/protocol'
import { createBoxKeyPair } from '@tryst/protocol/session'
import { HbbsInProcess } from './hbbs-in-process.ts'

// The server takes its time on a busy machine.
jest.setTimeout(60_000)

interface Recordings {
  readonly keys: { readonly serverSecretText: string }
  readonly ids: { readonly device: string }
  readonly recordings: readonly {
    readonly name: string
    readonly events: readonly {
      readonly conn: string
      readonly from: string
      readonly kind: string
      readonly hex?: string
    }[]
  }[]
}

const folder = process.env.VECTORS_DIR ?? resolve(import.meta.dirname, '../../../../shared/vectors')
const path = join(folder, 'real-clients.json')
const missing = existsSync(path) ? undefined : `no recordings in ${folder}; set VECTORS_DIR`
const { keys, ids, recordings }: Recordings = missing
  ? { keys: { serverSecretText: '' }, ids: { device: '' }, recordings: [] }
  : JSON.parse(readFileSync(path, 'utf8'))

const DEVICE_IP = '127.0.0.2'
const CONTROLLER_IP = '127.0.0.3'
const RELAY = '10.77.0.1:21117'
const ANSWER_WITHIN_MS = 15_000

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** What was said on a connection of the recording, as it was on the wire. */
function said(recording: string, conn: string, from: string): Uint8Array[] {
  const { events } = recordings.find(({ name }) => name === recording) ?? { events: [] }
  return events.flatMap((event) =>
    event.conn === conn && event.from === from && event.kind === 'message' ? [Buffer.from(event.hex ?? '', 'hex')] : [],
  )
}

const isWith = (member: 'punchHole' | 'punchHoleSent' | 'testNatRequest') => (payload: Uint8Array) =>
  decodeRendezvous(payload).union === member

/** A UDP socket, and what it was sent. */
async function udpPeer(ip: string, port: number) {
  const socket: Socket = createSocket('udp4')
  const received: RendezvousMessage[] = []
  const waiting: (() => void)[] = []
  socket.on('message', (datagram) => {
    received.push(decodeRendezvous(datagram))
    for (const done of waiting.splice(0)) done()
  })
  socket.bind(0, ip)
  await once(socket, 'listening')
  closers.push(() => new Promise<void>((done) => socket.close(() => done())))
  return {
    port: socket.address().port,
    received,
    send: (payload: Uint8Array) => socket.send(payload, port, '127.0.0.1'),
    /** Everything, once there are so many. */
    async has(count: number): Promise<readonly RendezvousMessage[]> {
      while (received.length < count) await new Promise<void>((done) => waiting.push(done))
      return received
    },
  }
}

async function connect(port: number, localAddress: string): Promise<Link> {
  const link = await nodeDialler.tcp({ host: '127.0.0.1', port }, { clock: systemClock, limitMs: 10_000, localAddress })
  closers.push(() => link.close())
  return link
}

async function nextOn(link: Link, limitMs = ANSWER_WITHIN_MS): Promise<RendezvousMessage | 'timeout' | 'ended'> {
  const payload = await link.next(limitMs)
  return typeof payload === 'string' ? payload : decodeRendezvous(payload)
}

/** A message of a device, with the handle that this server made. */
function withHandle(payload: Uint8Array, socketAddr: Uint8Array): Uint8Array {
  const { punchHoleSent } = decodeRendezvous(payload)
  return encodeRendezvous({ punchHoleSent: { ...punchHoleSent, socketAddr } })
}

const suite = missing ? describe.skip : describe
suite(`what stock clients send that punch by UDP${missing ? ` (${missing})` : ''}`, () => {
  it.each([
    ['udp-punch', 'controller-hbbs-3', 'controller-hbbs-2'],
    ['udp-punch-relay-first', 'controller-hbbs-3', 'controller-hbbs-2'],
  ])('is answered as it was in %s', async (name, plain, byUdp) => {
    const server = await HbbsInProcess.start({
      key: keys.serverSecretText,
      env: { RELAY_SERVERS: RELAY },
      createKeyPair: createBoxKeyPair,
    })
    closers.push(() => server.close())
    const { main } = server.hbbs.ports
    const device = await udpPeer(DEVICE_IP, main)
    const { device: id } = ids
    device.send(encodeRendezvous({ registerPk: { id, uuid: new Uint8Array(16), pk: new Uint8Array(32).fill(5) } }))
    expect(await device.has(1)).toMatchObject([{ registerPkResponse: { result: 0 } }])

    const links = { plain: await connect(main, CONTROLLER_IP), byUdp: await connect(main, CONTROLLER_IP) }
    const punchSocket = await udpPeer(CONTROLLER_IP, main)
    for (const test of said(name, 'controller-udp-1', 'controller').filter(isWith('testNatRequest'))) {
      punchSocket.send(test)
    }
    for (const { testNatResponse } of await punchSocket.has(2)) expect(testNatResponse?.port).toBe(punchSocket.port)

    for (const request of said(name, plain, 'controller')) links.plain.send(request)
    await device.has(2)
    for (const request of said(name, byUdp, 'controller')) links.byUdp.send(request)
    const pushes = (await device.has(3)).slice(1).map(({ punchHole }) => punchHole)
    const recorded = said(name, 'device-udp-1', 'hbbs').filter(isWith('punchHole'))
    for (const [i, push] of recorded.entries()) {
      const { natType, relayServer, udpPort, forceRelay } = decodeRendezvous(push).punchHole ?? {}
      expect(pushes[i]).toMatchObject({ natType, relayServer, udpPort, forceRelay })
      const { local } = i === 0 ? links.plain : links.byUdp
      expect(unmangleAddress(pushes[i]?.socketAddr ?? new Uint8Array())).toMatchObject({
        ip: CONTROLLER_IP,
        port: local.port,
      })
    }

    // The device answers by UDP, three times; the controller hears it once, and nothing over the other connection.
    const devicePunch = await udpPeer(DEVICE_IP, main)
    const answers = said(name, 'device-udp-2', 'device').filter(isWith('punchHoleSent'))
    expect(answers).toHaveLength(3)
    for (const answer of answers) devicePunch.send(withHandle(answer, pushes[1]?.socketAddr ?? new Uint8Array()))
    const { punchHoleResponse: shown } = decodeRendezvous(said(name, byUdp, 'hbbs')[0] ?? new Uint8Array())
    const answered = await nextOn(links.byUdp)
    if (typeof answered === 'string') throw new Error(`the controller heard nothing: ${answered}`)
    const { punchHoleResponse: response } = answered
    const { natType, relayServer, isUdp } = shown ?? {}
    expect(response).toMatchObject({ natType, relayServer, isUdp })
    expect(isUdp).toBe(true)
    expect(response?.pk).toHaveLength(shown?.pk.length ?? 0)
    const from = unmangleAddress(response?.socketAddr ?? new Uint8Array())
    expect(from).toMatchObject({ ip: DEVICE_IP, port: devicePunch.port })

    // And over TCP to the other request.
    const tcp = await connect(main, DEVICE_IP)
    const [overTcp] = said(name, 'device-hbbs-1', 'device').filter(isWith('punchHoleSent'))
    tcp.send(withHandle(overTcp ?? new Uint8Array(), pushes[0]?.socketAddr ?? new Uint8Array()))
    expect(await nextOn(links.plain)).toMatchObject({ punchHoleResponse: { natType, relayServer, isUdp: false } })
    expect(await nextOn(links.byUdp, 100)).toBe('timeout')
    expect(server.hbbs.server.counters.answers).toMatchObject({ delivered: 2, repeated: 2, nobody_waits: 0 })
  })
})
