import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** A way to a TCP server that a test can block; what was sent meanwhile arrives when it is open again. */
export interface SlowWire {
  readonly port: number
  block(): void
  unblock(): void
  close(): void
}

export async function startSlowWire(target: { host: string; port: number }): Promise<SlowWire> {
  const sockets = new Set<Socket>()
  let isBlocked = false
  const server = createServer((client) => {
    const upstream = connect(target)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('data', (bytes) => to.write(bytes))
      from.on('end', () => to.end())
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      if (isBlocked) from.pause()
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    block: () => {
      isBlocked = true
      for (const socket of sockets) socket.pause()
    },
    unblock: () => {
      isBlocked = false
      for (const socket of sockets) socket.resume()
    },
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
