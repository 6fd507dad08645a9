/**
 * What relaying costs in bare Node: two connections whose first frame is the same are joined by `pipe`. No limits, no
 * timers, no account of what passes. Usage: node tcp-pipe.ts <host> <port>
 */
import { createServer, type Socket } from 'node:net'
import { listenAddress } from './listen-address.ts'

const waiting = new Map<string, Socket>()

createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => undefined)
  socket.once('data', (chunk) => {
    // Frames of the generator have headers of one byte; what follows the first one is for the partner.
    const end = 1 + ((chunk[0] ?? 0) >>> 2)
    const name = chunk.toString('latin1', 0, end)
    socket.pause()
    if (chunk.length > end) socket.unshift(chunk.subarray(end))
    const partner = waiting.get(name)
    if (!partner) {
      waiting.set(name, socket)
      return
    }
    waiting.delete(name)
    join(partner, socket)
    join(socket, partner)
  })
}).listen({ ...listenAddress(), backlog: 4096 })

function join(from: Socket, to: Socket): void {
  from.pipe(to)
  from.on('close', () => to.destroy())
}
