import type { Endpoint } from '@tryst/protocol'

/**
 * How connections are taken. `raw`: as the handles inside Node, without a net.Socket for each, which for a connection
 * of one message costs as much as all else; not documented. `portable`: by documented means only.
 */
export type Accepting = 'raw' | 'portable'

/** Whoever a stream belongs to. */
export interface StreamOwner {
  /** Bytes as they arrive; nobody writes over them later. */
  received(bytes: Uint8Array): void
  /** The other side sends no more. */
  ended(): void
  /** The stream is gone. Told once, never during another call. */
  closed(): void
}

/** A TCP connection that a listener has accepted. */
export interface AcceptedStream {
  readonly accepting: Accepting
  readonly remote: Endpoint
  /** False once it has been told to end, or is gone. */
  readonly isWritable: boolean
  /** Bytes that the kernel has not taken yet. */
  readonly unsentBytes: number
  /** Reads for this owner from now on. */
  start(owner: StreamOwner): void
  /** Sends the payload with a frame's header in front. The payload may be used again at once. */
  writeFrame(payload: Uint8Array): void
  /** Ends it after what was written has left. */
  finish(): void
  /** Ends it at once. May be called twice. */
  destroy(): void
}
