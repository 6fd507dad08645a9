import type { Dialler } from './dialler.ts'
import { openPunchSocket } from './node-punch-socket.ts'
import { resolveEndpoint } from './resolve-endpoint.ts'
import { dialTcp } from './tcp-link.ts'
import { dialWebSocket } from './web-socket-link.ts'

/** Connections by Node's own sockets. */
export const nodeDialler: Dialler = {
  tcp: async (target, options) => dialTcp(await resolveEndpoint(target), options),
  webSocket: dialWebSocket,
  punchSocket: openPunchSocket,
}
