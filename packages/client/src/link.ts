import type { Endpoint } from '@tryst/protocol'
import type { Received } from './inbox.ts'

export type LinkTransport = 'tcp' | 'websocket'

/** A connection that carries whole payloads: frames on TCP and on KCP over UDP, binary messages on WebSocket. */
export interface Link {
  readonly transport: LinkTransport | 'kcp'
  /** Port 0 where the platform does not tell, as in a browser. */
  readonly local: Endpoint
  readonly remote: Endpoint
  /** Resolves when the socket is gone, whoever closed it. */
  readonly closed: Promise<void>
  /** Why the stream broke, when it did not end in an orderly way. */
  readonly failure: Error | undefined
  /** False when the payload waits in memory; wait for `drained()` before sending much more. */
  send(payload: Uint8Array): boolean
  /** Resolves when there is room again, or when the link is closed. */
  drained(): Promise<void>
  /** The next payload; one caller at a time. */
  next(limitMs?: number): Promise<Received>
  /** What was sent still leaves, what comes in is dropped. Resolves when the socket is gone; may be called again. */
  close(): Promise<void>
}
