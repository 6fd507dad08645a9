import type { Server } from 'node:net'
import { normaliseIp } from '@tryst/protocol'
import type { AcceptedStream, Accepting } from './accepted-stream.ts'
import { acceptRaw } from './raw-stream.ts'
import { SocketStream } from './socket-stream.ts'

/**
 * Takes the connections of a server from when it listens on, the wanted way or, where Node's inside is not what it was,
 * the portable one.
 *
 * @param server made with `allowHalfOpen`, not listening yet
 */
export function acceptStreams(server: Server, wanted: Accepting, accept: (stream: AcceptedStream) => void): void {
  server.on('connection', (socket) => {
    const { remoteAddress, remotePort } = socket
    // The client may have gone before it was accepted.
    if (remoteAddress === undefined) socket.destroy()
    else accept(new SocketStream(socket, { ip: normaliseIp(remoteAddress), port: remotePort ?? 0 }))
  })
  if (wanted === 'raw') server.on('listening', () => acceptRaw(server, accept))
}
