import type { Endpoint } from '@tryst/protocol'

/** A client's TCP or WebSocket connection to the ID server, as the core sees it: whole messages, no frames. */
export interface ClientConnection {
  readonly transport: 'tcp' | 'websocket'
  /** The client's real address; port 0 when a proxy hides it. */
  readonly remote: Endpoint
  /** It has ended or is about to: whoever begins to wait for something on it now would wait for ever. */
  readonly isClosed: boolean
  /** The client has taken the key that the server offered: nobody on the way reads what is said. Not there: no. */
  readonly isEncrypted?: boolean
  /** What was sent and has not left yet: it grows where the client does not read. */
  readonly unsentBytes: number
  /** Sends one payload; what cannot be delivered any more is dropped. An empty one is sent as it is, never encrypted. */
  send(payload: Uint8Array): void
  /** It may be idle from now on: somebody else watches whether the client is still there. May be called twice. */
  keep(): void
  /** Ends the connection after what was sent has left. */
  close(): void
  /** Ends the connection at once. */
  destroy(): void
}

/** The server's UDP port. Answers and pushes leave from the address that the device spoke to. */
export interface DatagramPort {
  send(payload: Uint8Array, ip: string, port: number): void
}

/** Milliseconds since 1970; the only clock of the core. */
export type Clock = () => number
