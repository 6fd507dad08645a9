import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { nextPortBase } from './port-base.ts'

/** The ports of a site; all are derived from the ID server's main port. */
export interface SitePorts {
  readonly main: number
  readonly natTest: number
  readonly webSocket: number
  readonly relay: number
  readonly relayWebSocket: number
}

const portsFrom = (main: number): SitePorts => ({
  main,
  natTest: main - 1,
  webSocket: main + 2,
  relay: main + 1,
  relayWebSocket: main + 3,
})

/** Where clients of a site look for its API. */
export const apiPort = ({ main }: SitePorts): number => main - 2

/** Ports on which nobody listens now. */
export async function freePorts(): Promise<SitePorts> {
  return portsFrom(await freeBase([-2, -1, 0, 1, 2, 3]))
}

/** A main port from which on these distances nobody listens now. */
export async function freeBase(distances: readonly number[]): Promise<number> {
  for (;;) {
    const base = nextPortBase()
    const free = await Promise.all([...distances.map((distance) => isTcpFree(base + distance)), isUdpFree(base)])
    if (!free.includes(false)) return base
  }
}

/** A port of loopback on which nobody listens now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (typeof address !== 'object' || !address) throw new Error('no port was free')
  return address.port
}

async function isTcpFree(port: number): Promise<boolean> {
  const server = createServer()
  server.listen(port)
  try {
    await once(server, 'listening')
    server.close()
    await once(server, 'close')
    return true
  } catch {
    return false
  }
}

async function isUdpFree(port: number): Promise<boolean> {
  const socket = createSocket('udp4')
  socket.bind(port)
  try {
    await once(socket, 'listening')
    socket.close()
    return true
  } catch {
    return false
  }
}
