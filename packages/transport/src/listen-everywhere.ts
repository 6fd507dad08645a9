import type { Server } from 'node:net'

/** Connections that wait to be accepted. */
const BACKLOG = 4_096

/**
 * Listens on the given address, or on all of them: on both families with one socket where IPv6 is there.
 *
 * @throws Node's error, with `code` EADDRINUSE when somebody else has the port
 */
export async function listenEverywhere(server: Server, port: number, bind: string | undefined): Promise<void> {
  if (bind !== undefined) return listenOn(server, port, bind)
  try {
    await listenOn(server, port, '::')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL') throw error
    await listenOn(server, port, '0.0.0.0')
  }
}

function listenOn(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host, backlog: BACKLOG, exclusive: true }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

export function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}
