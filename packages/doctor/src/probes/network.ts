import { type Network, nodeDialler, systemClock } from '@tryst/client'
import type { Known, WebSocketWay } from '../check.ts'

/** As a client with an address as its server, over TCP. */
export const tcpNetwork = ({ target, ip, key }: Known): Network => ({
  server: { host: ip, port: target.port, key: key?.text },
  dialler: nodeDialler,
  transport: 'tcp',
  clock: systemClock,
})

/** As a client in WebSocket mode. */
export const webSocketNetwork = ({ target, ip, key }: Known, way: WebSocketWay | undefined): Network => ({
  server: {
    host: way?.host ?? ip,
    port: target.port,
    key: key?.text,
    webSocketScheme: way?.scheme,
    webSocketPort: way?.port,
  },
  dialler: nodeDialler,
  transport: 'websocket',
  clock: systemClock,
})

/** The network that the examined clients use. */
export const clientNetwork = (known: Known): Network =>
  known.target.mode === 'webSocket' ? webSocketNetwork(known, known.proxy) : tcpNetwork(known)
