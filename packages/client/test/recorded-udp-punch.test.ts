import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram'
import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it, jest } from '@jest/globals'
import {
  decodeBase64,
  decodeRendezvous,
  encodeFrame,
  encodeIdPk,
  encodeRendezvous,
  FrameDecoder,
  mangleAddress,
  type OutgoingRendezvousMessage,
  type RendezvousMessage,
} from '@tryst/protocol'
import { signCombined } from '@tryst/protocol/session'
import { Controller } from '../src/controller.ts'
import { Device } from '../src/device.ts'
import { createDeviceIdentity } from '../src/device-identity.ts'
import { readPacket } from '../src/kcp/packet.ts'
import { readSegments } from '../src/kcp/segment.ts'
import { clients, missing, type RecordedEvent, recordingNamed } from './recordings.ts'

// Sockets take their time on a busy machine.
jest.setTimeout(60_000)

const SERVER_IP = '127.78.0.1'
const DEVICE_IP = '127.78.1.2'
const CONTROLLER_IP = '127.78.2.2'
/** Something that one of the peers did. */
interface Deed {
  readonly by: 'device' | 'controller'
  readonly over: 'tcp' | 'udp' | 'direct'
  readonly bytes: Uint8Array | 'open'
}

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/**
 * The ID server of the recording, and the path between the peers, on which it looks at every datagram. As a filter did
 * in the recording, it keeps TCP from coming about.
 */
class StandIn {
  readonly deeds: Deed[] = []
  #device: { from: RemoteInfo; socket: UdpSocket } | undefined
  /** Where the controller's punch socket is. */
  #controllerPort = 0
  readonly identity = createDeviceIdentity({
    ...{ id: clients.ids.device, uuid: new Uint8Array(32).fill(48), seed: new Uint8Array(32).fill(7) },
  })

  async listen(): Promise<number> {
    for (;;) {
      const udp = await bound(SERVER_IP)
      const { port } = udp.address()
      const server = createServer((socket) => this.#serve(socket))
      if (!(await listening(server, port))) continue
      udp.on('message', (datagram, from) => this.#datagram(datagram, from, udp))
      closers.push(() => new Promise((resolve) => server.close(resolve)))
      return port
    }
  }

  #note(by: Deed['by'], over: Deed['over'], bytes: Deed['bytes']): void {
    const kept = bytes === 'open' ? bytes : Uint8Array.from(bytes)
    this.deeds.push({ by, over, bytes: kept })
  }

  #serve(socket: Socket): void {
    const by = socket.remoteAddress === DEVICE_IP ? 'device' : 'controller'
    this.#note(by, 'tcp', 'open')
    const decoder = new FrameDecoder(1 << 20)
    socket.on('error', () => undefined)
    closers.push(async () => socket.destroy())
    socket.on('data', (chunk: Uint8Array) => {
      decoder.push(chunk, (payload) => {
        this.#note(by, 'tcp', payload)
        this.#message(decodeRendezvous(payload), socket)
        return true
      })
    })
  }

  #waiting: Socket | undefined

  #message({ punchHoleRequest }: RendezvousMessage, socket: Socket): void {
    if (!punchHoleRequest) return
    const { remotePort = 0 } = socket
    const address = { ip: CONTROLLER_IP, port: remotePort }
    const socketAddr = mangleAddress(address, 0x23456789)
    const { natType, udpPort } = punchHoleRequest
    if (udpPort > 0) void this.#askByUdp(socket, { socketAddr, natType, udpPort })
    else this.#toDevice({ punchHole: { socketAddr, relayServer: RELAY, natType } })
  }

  async #askByUdp(socket: Socket, push: { socketAddr: Uint8Array; natType: number; udpPort: number }): Promise<void> {
    this.#waiting = socket
    this.#controllerPort = push.udpPort
    // The device is sent to a socket that looks at what it sends, and hands it on.
    const forController = await bound(CONTROLLER_IP)
    this.#forController = forController
    this.#toDevice({ punchHole: { ...push, relayServer: RELAY, udpPort: forController.address().port } })
  }

  #forController: UdpSocket | undefined

  async #answered(message: RendezvousMessage, from: RemoteInfo): Promise<void> {
    const { punchHoleSent } = message
    const waiting = this.#waiting
    const toDevice = this.#forController
    if (!punchHoleSent || !waiting || !toDevice) return
    this.#waiting = undefined
    const forDevice = await bound(DEVICE_IP)
    toDevice.on('message', (datagram) => {
      this.#note('device', 'direct', datagram)
      forDevice.send(datagram, this.#controllerPort, CONTROLLER_IP)
    })
    forDevice.on('message', (datagram) => {
      this.#note('controller', 'direct', datagram)
      toDevice.send(datagram, from.port, from.address)
    })
    const { id, publicKey } = this.identity
    const pk = signCombined(encodeIdPk(id, publicKey), decodeBase64(clients.keys.serverSecretText) ?? new Uint8Array())
    const socketAddr = mangleAddress({ ip: DEVICE_IP, port: forDevice.address().port }, 0x3456789a)
    const punchHoleResponse = { socketAddr, pk, relayServer: RELAY, natType: punchHoleSent.natType, isUdp: true }
    waiting.write(encodeFrame(encodeRendezvous({ punchHoleResponse })))
  }

  #datagram(datagram: Uint8Array, from: RemoteInfo, socket: UdpSocket): void {
    const message = decodeRendezvous(datagram)
    const reply = (answer: OutgoingRendezvousMessage) => socket.send(encodeRendezvous(answer), from.port, from.address)
    if (message.registerPk || message.registerPeer) {
      this.#device = { from, socket }
      return reply(message.registerPk ? { registerPkResponse: {} } : { registerPeerResponse: {} })
    }
    this.#note(from.address === DEVICE_IP ? 'device' : 'controller', 'udp', datagram)
    if (message.testNatRequest) reply({ testNatResponse: { port: from.port } })
    void this.#answered(message, from)
  }

  #toDevice(push: OutgoingRendezvousMessage): void {
    const { from, socket } = this.#device ?? {}
    if (from) socket?.send(encodeRendezvous(push), from.port, from.address)
  }
}

const RELAY = '127.78.0.1:1'

async function bound(ip: string): Promise<UdpSocket> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, ip, resolve))
  socket.on('error', () => undefined)
  closers.push(() => new Promise<void>((resolve) => socket.close(() => resolve())))
  return socket
}

const listening = (server: Server, port: number) =>
  new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, SERVER_IP, () => resolve(true))
  })

/** What the peers of the recording did, in the same form. */
function recordedDeeds(events: readonly RecordedEvent[]): Deed[] {
  return events.flatMap(({ conn, from, kind, hex }): Deed[] => {
    if (from !== 'device' && from !== 'controller') return []
    const over = conn.startsWith('direct-udp') ? 'direct' : /^\w+-udp/.test(conn) ? 'udp' : 'tcp'
    if (/-api-|^direct-\d/.test(conn) || (kind !== 'message' && kind !== 'open')) return []
    return [{ by: from, over, bytes: kind === 'open' ? 'open' : Buffer.from(hex ?? '', 'hex') }]
  })
}

/** Names of the fields that a message has, and those of its values that do not differ from run to run. */
function fieldsOf(bytes: Uint8Array): unknown {
  const message = decodeRendezvous(bytes)
  const member: object = (message.union && message[message.union]) ?? {}
  const isDefault = (value: unknown) => !value || (value instanceof Uint8Array && value.length === 0)
  const varies = ['udpPort', 'socketAddr', 'licenceKey', 'relayServer']
  const shown = Object.entries(member)
    .filter(([, value]) => !isDefault(value))
    .map(([name, value]) => [name, varies.includes(name) ? 'there' : value])
  return { [message.union ?? '']: Object.fromEntries(shown) }
}

const messages = (deeds: readonly Deed[], by: Deed['by'], over: Deed['over']) =>
  deeds.flatMap((deed) => (deed.by === by && deed.over === over && deed.bytes !== 'open' ? [deed.bytes] : []))

/** Flags of the stream's datagrams in order, repeats of the punch and later acknowledgements left out. */
function beginning(deeds: readonly Deed[], by: Deed['by']): string[] {
  const seen: string[] = []
  for (const bytes of messages(deeds, by, 'direct')) {
    const packet = readPacket(bytes)
    const [segment] = packet ? [...readSegments(packet.bytes)].filter(({ command }) => command === 81) : []
    const what = packet ? `flags ${packet.flags}` : 'punch'
    if (what === 'punch' && seen.at(-1) === 'punch') continue
    seen.push(segment ? `${what}, segment ${segment.number} of ${segment.bytes.length} bytes` : what)
    if (segment) return seen.filter((one, i) => one !== 'flags 10' || seen.indexOf(one) === i)
  }
  return seen
}

const suite = missing ? describe.skip : describe
suite(`the recording of a UDP punch${missing ? ` (${missing})` : ''}`, () => {
  it('is what our peers do, too', async () => {
    const recorded = recordedDeeds(recordingNamed('udp-punch').events)
    const standIn = new StandIn()
    const port = await standIn.listen()
    const server = { host: SERVER_IP, port, key: clients.keys.serverPublicText }
    const { password } = clients.ids
    const { identity } = standIn
    const device = new Device({ server, identity, password, natType: 'asymmetric', localAddress: DEVICE_IP })
    closers.push(() => device.close())
    await device.start()
    await device.online()
    standIn.deeds.length = 0
    const controller = new Controller({ server, localAddress: CONTROLLER_IP, udpPunch: true })
    closers.push(() => controller.close())
    const session = await controller.connect(device.id, { password })
    expect([session.route, session.isEncrypted]).toEqual(['udp', true])
    while (messages(standIn.deeds, 'device', 'udp').length < 3) await new Promise((done) => setTimeout(done, 5))

    const { deeds: ours } = standIn
    // The controller: an empty connection, two more, a request on each, and the NAT test from its punch socket.
    const opens = (deeds: readonly Deed[]) => deeds.filter(({ by, bytes }) => by === 'controller' && bytes === 'open')
    expect(opens(ours)).toHaveLength(opens(recorded).length)
    // Which request is ready first depends on the machine.
    const requests = (deeds: readonly Deed[]) => new Set(messages(deeds, 'controller', 'tcp').map(fieldsOf))
    expect(requests(ours)).toEqual(requests(recorded))
    const natTests = (deeds: readonly Deed[]) =>
      messages(deeds, 'controller', 'udp').map((bytes) => Buffer.from(bytes).toString('hex'))
    expect(natTests(ours).slice(0, 2)).toEqual(natTests(recorded))

    // The device: its answer three times, with the bytes of the handle.
    const answers = (deeds: readonly Deed[]) => messages(deeds, 'device', 'udp')
    expect(answers(ours).map(fieldsOf)).toEqual(answers(recorded).map(fieldsOf))
    const [first] = answers(ours)
    for (const answer of answers(ours)) expect(answer).toEqual(first)

    // Between them: a punch each, the handshake, pings, and the device speaks first.
    for (const by of ['device', 'controller'] as const) expect(beginning(ours, by)).toEqual(beginning(recorded, by))
  })
})
