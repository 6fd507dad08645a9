import type { Endpoint } from '@tryst/protocol'

/** A UDP socket with which a peer opens a hole to another one. */
export interface PunchSocket {
  readonly local: Endpoint
  /** What cannot be sent is lost, as on the way. */
  send(datagram: Uint8Array, to: Endpoint): void
  /** Who takes what arrives, beginning with the last few datagrams that nobody took; undefined: nobody for now. */
  receive(handler: ((datagram: Uint8Array, from: Endpoint) => void) | undefined): void
  /** May be called again. */
  close(): Promise<void>
}

export interface PunchSocketOptions {
  readonly family: 4 | 6
  /** Default: any of the family. */
  readonly localAddress?: string | undefined
}
