import type { Duplex } from 'node:stream'
import type { NodeId } from '@tryst/rendezvous'
import type { LinkEvents } from './events.ts'
import type { LinkLimits } from './link.ts'
import type { ListenerLimits } from './listener.ts'
import type { NodeQuestions, StreamOpening } from './node-questions.ts'
import type { PeerLimits } from './peer.ts'

export interface NodeLinkLimits extends PeerLimits, LinkLimits, ListenerLimits {
  /** For the connection of a stream and the other node's word that the half waits there. */
  readonly streamDeadlineMs: number
  /** Streams that are being opened at the same time; the others wait. */
  readonly maxOpeningStreams: number
  readonly maxWaitingStreams: number
}

export const DEFAULT_NODE_LINK_LIMITS: NodeLinkLimits = Object.freeze({
  deadlineMs: 200,
  maxQuestions: 4_096,
  maxQueuedBytes: 4 * 1024 * 1024,
  silenceMs: 800,
  maxUnproven: 1_024,
  maxUnprovenOfSource: 128,
  proofDeadlineMs: 2_000,
  streamDeadlineMs: 2_000,
  maxOpeningStreams: 32,
  maxWaitingStreams: 1_024,
})

export interface NodeLinkOptions {
  /** The server's, 64 bytes in libsodium's form; all nodes have the same. */
  readonly secretKey: Uint8Array
  readonly incarnation: NodeId
  /** Label of this node, for the others' logs. */
  readonly name: string
  /** Of the program, for the others' logs. */
  readonly version: string
  /** An internal address; port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number }
  /** What this node answers. */
  readonly handle: NodeQuestions
  /**
   * Another node wants to join a half that waits here. True: the half has taken the stream, and may have written to it
   * already. False: there is no such half (any more). The stream is paused.
   */
  readonly onStream: (opening: StreamOpening, stream: Duplex) => boolean
  readonly events: LinkEvents
  readonly limits?: Partial<NodeLinkLimits>
  /** Of the protocol between nodes; another one only in tests. */
  readonly protocolVersion?: { readonly major: number; readonly minor: number }
}
