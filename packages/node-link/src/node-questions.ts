import type { DeviceAnswer, NodeId, PeerId, PushOutcome } from '@tryst/rendezvous'

/** Whom a question goes to: a process that has ended is not mistaken for the one that took its address. */
export interface LinkTarget {
  readonly incarnation: NodeId
  /** `host:port` of its listener for other nodes; an IPv6 host stands in brackets. */
  readonly address: string
}

/** The identity of a device, as one node remembers it. */
export interface RecalledIdentity {
  readonly guid: Uint8Array
  readonly uuid: Uint8Array
  readonly publicKey: Uint8Array
  readonly ip: string
  /** Rises with every change of the identity. */
  readonly version: number
  readonly createdMs: number
}

/** What a node answers to the others. What throws or rejects makes the question fail there. */
export interface NodeQuestions {
  /** @param attempt code of the controller's attempt, where it is recorded */
  push(id: PeerId, message: Uint8Array, attempt?: number): PushOutcome
  /** Another node holds the device, under this version. */
  forget(id: PeerId, version: number): void
  /** For each id the IP that this node hears the device from. */
  holds(ids: readonly PeerId[]): readonly (string | undefined)[]
  /** True when an initiator that waits here got the answer. */
  answer(answer: DeviceAnswer): Promise<boolean>
  /** The device that this node introduced the session for within the last minute. */
  ticketFor(uuid: string): string | undefined
  /** Whether this node can use the shared store. */
  hasStore(): boolean
  /** What this node remembers of a device that the shared store can't be asked about. */
  recall(id: PeerId): RecalledIdentity | undefined
  /** Whether a device is online on this node at this address, for IPv6 in its /64. */
  hasDeviceInNetwork(ip: string): boolean
  /** The device was removed or has another id. */
  dismiss(id: PeerId): void
}

/** The half of a session that a stream is for. */
export interface StreamOpening {
  readonly uuid: string
  /** What the node that is dialled calls the half. */
  readonly half: string
  /** What is at the other end is a WebSocket, whose client may show by pings alone that it is there. Default: it is not. */
  readonly webSocket?: boolean
}
