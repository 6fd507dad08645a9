import type { Server } from 'node:net'

/** Where a listener listens. */
export interface ListenPlace {
  /** 0: drawn by the system. */
  readonly port: number
  /** On exactly this address; undefined: on all, of both families where there are two. */
  readonly bind: string | undefined
  /** Others who say so, too, may have the same port; the system deals connections out among them. */
  readonly reusePort?: boolean | undefined
}

/** Connections that wait to be accepted. */
const BACKLOG = 4_096

/**
 * Listens on the given address, or on all of them: on both families with one socket where IPv6 is there.
 *
 * @throws Node's error, with `code` EADDRINUSE when somebody else has the port
 */
export async function listenEverywhere(server: Server, { port, bind, reusePort }: ListenPlace): Promise<void> {
  if (bind !== undefined) return listenOn(server, { port, host: bind, reusePort })
  try {
    await listenOn(server, { port, host: '::', reusePort })
  } catch (error) {
    if (!isMissingFamily(error)) throw error
    await listenOn(server, { port, host: '0.0.0.0', reusePort })
  }
}

/**
 * The same with a socket for each family, which costs IPv4 connections a little less than one for both.
 *
 * @param create makes a server that does not listen yet
 * @returns those that listen, on one port
 */
export async function listenPerFamily(create: () => Server, { port, bind, reusePort }: ListenPlace): Promise<Server[]> {
  const servers: Server[] = []
  let refusal: unknown
  for (const host of bind === undefined ? ['0.0.0.0', '::'] : [bind]) {
    const server = create()
    try {
      const ipv6Only = host === '::' && bind === undefined
      await listenOn(server, { port: servers[0] ? portOf(servers[0]) : port, host, reusePort, ipv6Only })
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

interface Address {
  readonly port: number
  readonly host: string
  readonly reusePort: boolean | undefined
  readonly ipv6Only?: boolean
}

function listenOn(server: Server, { port, host, reusePort = false, ipv6Only = false }: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host, ipv6Only, reusePort, backlog: BACKLOG, exclusive: true }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

export function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}
