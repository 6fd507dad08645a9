import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the ports that systems give to outgoing connections, of which the generators open many. */
const LOWEST = 20_000
const HIGHEST = 32_000
const MAX_TRIES = 50
/** An ID server takes the port below its own and the second above. */
const OFFSETS = [-1, 0, 1, 2]

/** A port that is free on this address over TCP and UDP, with the neighbours that a server derives from it. */
export async function findFreePort(host: string): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST))
    const free = await Promise.all(OFFSETS.map((offset) => isFree(host, port + offset)))
    if (free.every(Boolean)) return port
  }
  throw new Error(`no free ports between ${LOWEST} and ${HIGHEST} on ${host}`)
}

async function isFree(host: string, port: number): Promise<boolean> {
  const tcp = createServer().listen({ host, port, exclusive: true })
  const udp = createSocket('udp4').bind({ address: host, port, exclusive: true })
  const opened = await Promise.allSettled([once(tcp, 'listening'), once(udp, 'listening')])
  tcp.close()
  udp.close()
  return opened.every(({ status }) => status === 'fulfilled')
}
