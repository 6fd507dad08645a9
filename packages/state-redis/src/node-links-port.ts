import type { DeviceAnswer, NodeId, PeerId, PushOutcome } from '@tryst/rendezvous'
import type { IdentityRecord } from './identity-record.ts'

/** The identity of a device, as one node remembers it. */
export type RecalledIdentity = Omit<IdentityRecord, 'isDecided'>

/** Whom a question goes to: a process that has ended is not mistaken for the one that took its address. */
export interface LinkTarget {
  readonly incarnation: NodeId
  /** `host:port` of its listener for other nodes. */
  readonly address: string
}

/**
 * Questions to other nodes, one by one. Each is answered or rejects within 200 ms, as when the node can't be reached;
 * nothing is then known of what it did.
 */
export interface NodeLinksPort {
  /** @param attempt code of the controller's attempt, where it is recorded */
  push(node: LinkTarget, id: PeerId, message: Uint8Array, attempt?: number): Promise<PushOutcome>
  /**
   * The asking node holds the device.
   *
   * @param version of its claim; negative where the shared store has not accepted it: then since when it hears the device
   */
  forget(node: LinkTarget, id: PeerId, version: number): Promise<void>
  /** For each id the IP that the node hears the device from. */
  holds(node: LinkTarget, ids: readonly PeerId[]): Promise<readonly (string | undefined)[]>
  answer(node: LinkTarget, answer: DeviceAnswer): Promise<boolean>
  /** The device that the node introduced a session for within the last minute. */
  ticketFor(node: LinkTarget, uuid: string): Promise<string | undefined>
  /** Whether the node can use the shared store. */
  hasStore(node: LinkTarget): Promise<boolean>
  /** What the node remembers of a device. */
  recall(node: LinkTarget, id: PeerId): Promise<RecalledIdentity | undefined>
  /** Whether a device is online on the node at this address, for IPv6 in its /64. */
  hasDeviceInNetwork(node: LinkTarget, ip: string): Promise<boolean>
  /** The device was removed or has another id. */
  dismiss(node: LinkTarget, id: PeerId): Promise<void>
}

/** What a node answers to the same questions. */
export interface LinkAnswers {
  push(id: PeerId, message: Uint8Array, attempt?: number): PushOutcome
  forget(id: PeerId, version: number): void
  holds(ids: readonly PeerId[]): readonly (string | undefined)[]
  answer(answer: DeviceAnswer): Promise<boolean>
  ticketFor(uuid: string): string | undefined
  hasStore(): boolean
  recall(id: PeerId): RecalledIdentity | undefined
  hasDeviceInNetwork(ip: string): boolean
  dismiss(id: PeerId): void
}
