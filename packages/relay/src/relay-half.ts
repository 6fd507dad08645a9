import type { Endpoint } from '@tryst/protocol'

/**
 * One client's connection to the relay, as the core sees it. A relay session is a pair of them.
 *
 * Back-pressure has one rule: bytes given to a listener or to a write are lent. A listener that answers `false` keeps
 * them until it calls `resume`, and nothing more arrives meanwhile; so a half reads into one buffer, and what waits in
 * memory for a slow receiver is at most what was read at once.
 */
export interface RelayHalf {
  readonly transport: 'tcp' | 'websocket'
  /** The client's real address, port 0 when a proxy hides it. */
  readonly remote: Endpoint
  /** What limits for a source address count by: the IPv4 address or the /64. */
  readonly source: string
  /** Something that was written has not been taken by the network yet. */
  readonly hasUnsent: boolean
  /** How much of it; only good for telling whether a slow receiver takes anything at all. */
  readonly unsentBytes: number
  /** Hands over what arrives from now on. */
  listen(listener: HalfListener): void
  /** The first message was valid: from now on no newcomer takes this connection's place. */
  prove(): void
  /** Sends bytes as they are. For TCP only. */
  writeBytes(bytes: Uint8Array): void
  /** Sends one message: a frame on TCP, a binary message on a WebSocket. */
  writeMessage(payload: Uint8Array): void
  /** Most that may be read at once, so that a slow session is not served in large gulps. */
  limitReads(bytes: number): void
  /** Goes on after the listener answered `false`. */
  resume(): void
  /** Sends what was written, then the end of the stream; goes on reading. */
  end(): void
  /** Ends the connection after what was written has left; nothing that arrives matters any more. */
  close(): void
  /** Ends the connection now. */
  destroy(): void
}

export interface HalfListener {
  /** A piece of the stream (TCP) or one binary message (WebSocket). False: `bytes` stay in use, wait for `resume`. */
  onBytes(bytes: Uint8Array): boolean
  /** The client lives but sent nothing to pass on: a text or ping message. */
  onActivity(): void
  /** Everything that was written has been taken by the network, after some of it had to wait. */
  onDrain(): void
  /** The first message of a WebSocket is longer than it may be, by its header. The half ends. */
  onOversized(): void
  /** The client sends nothing more. A WebSocket that ended can't be written to either. */
  onEnd(): void
  /** The connection is gone. */
  onClose(): void
}
