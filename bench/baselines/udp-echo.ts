/**
 * What a heartbeat costs in bare Node: one dgram socket, the id read out of each RegisterPeer, its address and time
 * noted in a Map, two bytes back. No limits, no check of who sends. Usage: node udp-echo.ts <host> <port>
 */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { listenAddress } from './listen-address.ts'

const { host, port } = listenAddress()
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
const ACCEPTED = Buffer.from('3a00', 'hex')
const devices = new Map<string, { address: string; port: number; seenMs: number }>()

// The default look-up takes a turn of the event loop even for an address.
const socket = createSocket({ type: 'udp4', lookup: (name, _options, done) => done(null, name, 4) })
socket.on('message', (datagram, { address, port: from }) => {
  // RegisterPeer: 32 LEN 0a LEN id 10 serial
  if (datagram[0] !== 0x32 || datagram[2] !== 0x0a) return
  const id = datagram.toString('latin1', 4, 4 + (datagram[3] ?? 0))
  const device = devices.get(id)
  if (device) Object.assign(device, { port: from, seenMs: performance.now() })
  else devices.set(id, { address, port: from, seenMs: performance.now() })
  socket.send(ACCEPTED, from, address)
})
socket.bind({ address: host, port, exclusive: true }, () => {
  socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES)
  // Only tells whoever started us that datagrams are read now.
  createServer((connection) => connection.destroy()).listen(port, host)
})
