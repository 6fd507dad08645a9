/**
 * A process that holds connections of registered devices open and answers their beats, as stock devices do. Started by
 * kept-connections.ts, which says how many there are to be.
 */
import { connect, type Socket } from 'node:net'
import { decodeBase64, decodeRendezvous, FrameDecoder, frameHeader } from '@tryst/protocol'
import { answerKeyExchange, createBoxKeyPair, createSessionKey, type RecordLayer } from '@tryst/protocol/secure-tcp'
import { registerPk } from './device-messages.ts'

/** `tcp`: encrypted, as stock devices are. */
export type HeldTransport = 'tcp' | 'tcp-plain' | 'websocket'

export interface HolderSetup {
  readonly transport: HeldTransport
  readonly host: string
  /** The main port. */
  readonly port: number
  readonly key: string
}

/** What the holder is told and says: how many devices are to be registered, and are; how many beats were answered. */
export interface Held {
  readonly devices: number
  readonly beats: number
}

const AT_ONCE = 100
const DEVICES_PER_SOURCE = 20
const MAX_FRAME_BYTES = 64 * 1024

const { transport, host, port, key } = JSON.parse(process.argv[2] ?? '') as HolderSetup
const serverKey = decodeBase64(key) ?? new Uint8Array()
let devices = 0
let beats = 0

process.on('disconnect', () => process.exit())
process.on('message', ({ devices: wanted }: Held) => void hold(wanted).catch(fail))
setInterval(() => process.send?.({ devices, beats } satisfies Held), 200)

async function hold(wanted: number): Promise<void> {
  let next = devices
  const workers = Array.from({ length: AT_ONCE }, async () => {
    while (next < wanted) {
      await register(next++)
      devices++
    }
  })
  await Promise.all(workers)
}

function register(device: number): Promise<void> {
  const source = Math.floor(device / DEVICES_PER_SOURCE)
  const localAddress = `127.1.${source >>> 8}.${source & 255}`
  const target = { host, port: transport === 'websocket' ? port + 2 : port, localAddress }
  const socket = connect(target)
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('close', () => fail(new Error(`the server ended the connection of device ${device}`)))
    if (transport === 'websocket') overWebSocket(socket, device, resolve)
    else overTcp(socket, device, resolve)
  })
}

function overTcp(socket: Socket, device: number, registered: () => void): void {
  const decoder = new FrameDecoder(MAX_FRAME_BYTES)
  let records: RecordLayer | undefined
  const send = (payload: Uint8Array) => {
    const sealed = records ? records.seal(payload) : payload
    socket.write(Buffer.concat([frameHeader(sealed.length), sealed]))
  }
  const receive = (payload: Uint8Array): boolean => {
    if (payload.length === 0) {
      beats++
      socket.write(Buffer.of(0))
      return true
    }
    const message = decodeRendezvous(records ? records.open(payload) : payload)
    if (message.keyExchange) {
      if (transport === 'tcp-plain') return true
      const agreed = answerKeyExchange(payload, serverKey, createBoxKeyPair(), createSessionKey())
      if (!agreed) throw new Error('the offer of encryption cannot be read')
      send(agreed.answer)
      records = agreed.records
      send(registerPk(device))
    } else if (message.registerPkResponse?.result === 0) registered()
    return true
  }
  socket.on('data', (bytes) => decoder.push(bytes, receive))
  if (transport === 'tcp-plain') socket.once('connect', () => send(registerPk(device)))
}

/** Frames as small as they are here need no library: a mask of zeros changes nothing. */
function overWebSocket(socket: Socket, device: number, registered: () => void): void {
  const maskedFrame = (payload: Uint8Array) =>
    Buffer.concat([Buffer.of(0x82, 0x80 | payload.length, 0, 0, 0, 0), payload])
  socket.once('connect', () =>
    socket.write(
      `GET / HTTP/1.1\r\nHost: ${host}:${port + 2}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    ),
  )
  socket.once('data', (head) => {
    if (!head.toString('latin1').startsWith('HTTP/1.1 101')) return fail(new Error('no upgrade'))
    socket.write(maskedFrame(registerPk(device)))
    let isRegistered = false
    socket.on('data', (bytes) => {
      // Whatever comes is short: a beat is two bytes, the answer to the registration a few more.
      if (bytes.length === 2) {
        beats++
        socket.write(maskedFrame(new Uint8Array()))
      } else if (!isRegistered) {
        isRegistered = true
        registered()
      }
    })
  })
}

function fail(error: Error): void {
  console.error(error)
  process.exit(1)
}
