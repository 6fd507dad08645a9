import { normaliseIp } from '@tryst/protocol'
import { addressMatcher, forwardedEndpoint } from '@tryst/transport'
import type { FastifyInstance } from 'fastify'

declare module 'fastify' {
  interface FastifyRequest {
    /** The client's own address, also behind a trusted proxy. */
    readonly clientIp: string
  }
}

/** @param trustedProxies networks whose word about the client's address is taken */
export function nameClients(app: FastifyInstance, trustedProxies: readonly string[]): void {
  const isTrusted = addressMatcher(trustedProxies)
  app.decorateRequest('clientIp', {
    getter() {
      const { socket, headers } = this
      const remote = { ip: normaliseIp(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 }
      const realIp = single(headers['x-real-ip'])
      return forwardedEndpoint({ remote, realIp, forwardedFor: single(headers['x-forwarded-for']), isTrusted }).ip
    },
  })
}

/** Node joins repeated headers of these names into one text. */
const single = (value: string | string[] | undefined) => (Array.isArray(value) ? value.join(',') : value)
