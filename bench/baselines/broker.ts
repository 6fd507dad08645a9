/**
 * What registrations and punches cost in bare Node: just enough of an ID server for devices to register (kept in a Map
 * of objects, stored nowhere) and for controllers to reach them. No limits, no checks, no key; an identity is signed
 * once. Usage: node broker.ts <host> <port>
 */
import { generateKeyPairSync, sign } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { createServer, type Socket } from 'node:net'
import { listenAddress } from './listen-address.ts'
import { field, fieldsOf, frame, mangled } from './wire.ts'

interface Device {
  readonly id: string
  readonly publicKey: Buffer
  address: string
  port: number
  seenMs: number
  signed?: Buffer
}

const { host, port } = listenAddress()
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
const KNOWN = Buffer.from('3a00', 'hex')
const KEY_WANTED = Buffer.from('3a021001', 'hex')
const ACCEPTED = Buffer.from('820100', 'hex')
const NAT_TYPE_ASYMMETRIC = Buffer.from('1801', 'hex')
const RELAY_SERVER = field(2, Buffer.from('127.0.0.1:21117'))
const { privateKey } = generateKeyPairSync('ed25519')
const devices = new Map<string, Device>()
const waiting = new Map<number, Socket>()
let handles = 0

const udp = createSocket({ type: 'udp4', lookup: (name, _options, done) => done(null, name, 4) })
udp.on('message', (datagram, { address, port: from }) => {
  const { 6: registerPeer, 15: registerPk } = fieldsOf(datagram)
  const fields = fieldsOf(registerPeer ?? registerPk ?? Buffer.alloc(0))
  const id = fields[1]?.toString('latin1')
  if (id === undefined) return
  if (registerPk) {
    devices.set(id, { id, publicKey: Buffer.from(fields[3] ?? []), address, port: from, seenMs: performance.now() })
    return udp.send(ACCEPTED, from, address)
  }
  const device = devices.get(id)
  if (device) Object.assign(device, { address, port: from, seenMs: performance.now() })
  udp.send(device ? KNOWN : KEY_WANTED, from, address)
})

const tcp = createServer({ noDelay: true }, (socket) => {
  let handle = 0
  socket.on('error', () => undefined)
  socket.on('close', () => waiting.delete(handle))
  socket.on('data', (chunk) => {
    // The generator's frames come whole.
    const { 8: request, 10: sent } = fieldsOf(chunk.subarray(((chunk[0] ?? 0) & 3) + 1))
    if (request) {
      handle ||= ++handles
      waiting.set(handle, socket)
      return askDevice(request, handle)
    }
    if (sent) answerController(sent, socket)
    socket.destroy()
  })
})

function askDevice(request: Buffer, handle: number): void {
  const device = devices.get(fieldsOf(request)[1]?.toString('latin1') ?? '')
  if (!device) return
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(handle)
  udp.send(field(9, Buffer.concat([field(1, bytes), RELAY_SERVER, NAT_TYPE_ASYMMETRIC])), device.port, device.address)
}

function answerController(sent: Buffer, { remoteAddress = '', remotePort = 0 }: Socket): void {
  const fields = fieldsOf(sent)
  const controller = waiting.get(fields[1]?.readUInt32LE() ?? 0)
  const device = devices.get(fields[2]?.toString('latin1') ?? '')
  if (!controller || !device) return
  device.signed ??= signedIdentity(device)
  const parts = [
    field(1, mangled(remoteAddress, remotePort)),
    field(2, device.signed),
    field(4, fields[3] ?? Buffer.alloc(0)),
  ]
  controller.write(frame(field(11, Buffer.concat(parts))))
}

function signedIdentity({ id, publicKey }: Device): Buffer {
  const identity = Buffer.concat([field(1, Buffer.from(id)), field(2, publicKey)])
  return Buffer.concat([sign(null, identity, privateKey), identity])
}

udp.bind({ address: host, port, exclusive: true }, () => {
  udp.setRecvBufferSize(RECEIVE_BUFFER_BYTES)
  tcp.listen({ host, port, backlog: 4096 })
})
