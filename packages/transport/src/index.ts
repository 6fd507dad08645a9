export {
  type AwaitedHeadersOptions,
  PROXY_HEADER_FAILURES,
  PROXY_HEADER_REMEDY,
  type ProxyHeaderFailure,
} from './awaited-headers.ts'
export { ConnectionGuard, type ConnectionLimit, type ConnectionLimits, type Displaceable } from './connection-guard.ts'
export { forwardedEndpoint } from './forwarded-address.ts'
export {
  FramedTcpConnection,
  type FramedTcpHandler,
  FramedTcpListener,
  type FramedTcpOptions,
} from './framed-tcp.ts'
export { givenSocket } from './given-socket.ts'
export type { HalfGuard } from './half-guard.ts'
export { KeyOffers } from './key-offers.ts'
export { listenEverywhere, portOf } from './listen-everywhere.ts'
export { readHandle, type SocketHandle, type SocketReading } from './socket-reading.ts'
export { StreamHalf } from './stream-half.ts'
export { TcpHalf } from './tcp-half.ts'
export { TcpHalfListener, type TcpHalfListenerOptions } from './tcp-half-listener.ts'
export { serveTextConsole } from './text-console.ts'
export { addressMatcher } from './trusted-addresses.ts'
export { type DatagramSender, type UdpOptions, UdpPort } from './udp-socket.ts'
export { WebSocketConnection } from './websocket-connection.ts'
export { WebSocketHalf } from './websocket-half.ts'
export { openWebSocketHalves, type WebSocketHalfListenerOptions } from './websocket-half-listener.ts'
export { type WebSocketHandler, WebSocketListener, type WebSocketListenerOptions } from './websocket-listener.ts'
export type { WebSocketUpgrades } from './websocket-upgrades.ts'
