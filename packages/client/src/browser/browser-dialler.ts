import type { Dialler } from '../dialler.ts'
import { LinkError } from '../link-error.ts'
import { dialWebSocket } from './web-socket-link.ts'

/** Connections by the browser's WebSocket, the only kind that a page may open to these servers. */
export const browserDialler: Dialler = {
  tcp: ({ host, port }) =>
    Promise.reject(
      new LinkError('refused', `${host}:${port}`, { cause: new Error('a browser opens no TCP connections') }),
    ),
  webSocket: dialWebSocket,
}
