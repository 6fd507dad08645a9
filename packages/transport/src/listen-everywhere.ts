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
    if (!isMissingFamily(error)) throw error
    await listenOn(server, port, '0.0.0.0')
  }
}

/**
 * The same with a socket for each family, which costs IPv4 connections a little less than one for both.
 *
 * @param create makes a server that does not listen yet
 * @returns those that listen, on one port
 */
export async function listenPerFamily(create: () => Server, port: number, bind: string | undefined): Promise<Server[]> {
  const servers: Server[] = []
  let refusal: unknown
  for (const host of bind === undefined ? ['0.0.0.0', '::'] : [bind]) {
    const server = create()
    try {
      await listenOn(server, servers[0] ? portOf(servers[0]) : port, host, host === '::' && bind === undefined)
      servers.push(server)
    } catch (error) {
      refusal = error
      if (!isMissingFamily(error)) break
    }
  }
  if (servers.length > 0 && (refusal === undefined || isMissingFamily(refusal))) return servers
  for (const server of servers) server.close()
  throw refusal
}

function isMissingFamily(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'
}

function listenOn(server: Server, port: number, host: string, ipv6Only = false): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host, ipv6Only, backlog: BACKLOG, exclusive: true }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

export function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}
