import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** The ports of a site; all are derived from the ID server's main port. */
export interface SitePorts {
  readonly main: number
  readonly natTest: number
  readonly webSocket: number
  readonly relay: number
  readonly relayWebSocket: number
}

/** Below the range from which the system draws the ports of outgoing connections. */
const LOWEST = 10_000
const SPAN = 9_000
const BLOCK = 6

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
  for (;;) {
    const ports = portsFrom(LOWEST + BLOCK * Math.floor(Math.random() * (SPAN / BLOCK)) + 1)
    const free = await Promise.all([...[...Object.values(ports), apiPort(ports)].map(isTcpFree), isUdpFree(ports.main)])
    if (!free.includes(false)) return ports
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
