import type { NodeId, PeerId } from './peer-identity.ts'

/**
 * What became of a message for a device: it left on the device's channel; the device has not been heard of for too
 * long; this node does not hold the device.
 */
export type PushOutcome = 'pushed' | 'silent' | 'not-mine'

/** A device's answer on its way to the initiator that waits for it (docs/protocol.md, who may answer). */
export interface DeviceAnswer {
  readonly kind: 'punch-hole-sent' | 'udp-punch-hole-sent' | 'local-addr' | 'relay-response'
  /** The handle as the device sent it back. */
  readonly handle: Uint8Array
  /** The id that the device names; empty when it names none. */
  readonly id: string
  /** The device's answer as it arrived, encoded. */
  readonly message: Uint8Array
  /** Where the answer came from. */
  readonly from: { readonly ip: string; readonly port: number }
}

/** What a node does for the other nodes; given to `Cluster.join`. */
export interface LocalNode {
  /** The IP that this node hears the device from; undefined when it does not hold the device. */
  holds(id: PeerId): string | undefined
  /**
   * The devices that are online here, for making good what shared memory has lost. May be read slowly: a device that
   * stays is not left out, one may come twice.
   */
  devices(): Iterable<{ readonly id: PeerId; readonly ip: string }>
  /** Another node holds the device now. */
  forget(id: PeerId): void
  /** A claim of this node took the device from another one. */
  took(id: PeerId): void
  /** @param attempt of the controller on another node that the message is for, where it is recorded */
  push(id: PeerId, message: Uint8Array, attempt?: number): PushOutcome
  /** True when an initiator that waits here got the answer. */
  answer(answer: DeviceAnswer): Promise<boolean>
  /** The device that a relayed session was introduced for by this node within the last minute. */
  ticketFor(uuid: string): PeerId | undefined
  /** The device was removed or has another id: it is not here any more until it registers anew. */
  dismiss(id: PeerId): void
  /** Whether a device is online here at this address, for IPv6 in its /64. */
  hasDeviceInNetwork(ip: string): boolean
}

/** Where a device is: the node that hears it, and from which IP. */
export interface Location {
  readonly node: NodeId
  readonly ip: string
  /** The name of the connection that the device is reached over there. Not there: UDP, or not known. */
  readonly via?: string
}

/**
 * The other nodes of the same server: which of them holds a device, and how to reach it there. A node never asks it
 * for what it holds itself. Where the others cannot be asked, methods reject with StoreUnavailableError.
 */
export interface Cluster {
  /** True when there are no other nodes and can be none: nothing has to be asked. */
  readonly isAlone: boolean

  /**
   * True while this node has lost the shared memory that another node still has: its devices have to turn to the
   * others, so it answers no heartbeats and no registrations.
   */
  readonly isCutOff: boolean

  /** Starts to take part; what other nodes want goes to `local`. */
  join(local: LocalNode): Promise<void>

  /**
   * This node holds the device from now on; a former holder is told to forget it.
   *
   * @param via what the device is reached by: `udp`, or the name of its connection. Default `udp`
   */
  claim(id: PeerId, ip: string, via?: string): Promise<void>

  /** The device is gone from here. A claim by another node, or by way of something else than `via`, is left alone. */
  release(id: PeerId, via?: string): Promise<void>

  /** For each id the other node that holds it, undefined where none does. */
  locate(ids: readonly PeerId[]): Promise<readonly (Location | undefined)[]>

  /**
   * Sends a message to a device through the node that holds it.
   *
   * @param attempt code of the controller's attempt that it is for, where it is recorded
   */
  push(node: NodeId, id: PeerId, message: Uint8Array, attempt?: number): Promise<PushOutcome>

  /**
   * An initiator waits on this node, seen from this address: once settled, answers for it that arrive elsewhere come
   * here. Undefined: the others know already, or ask all nodes.
   */
  awaitAnswers(initiatorIp: string): Promise<void> | undefined

  /** The device was removed or has another id: whichever other node holds it drops it. */
  dismiss(id: PeerId): Promise<void>

  /** Whether a device is online on another node at this address, for IPv6 in its /64. */
  hasDeviceInNetwork(ip: string): Promise<boolean>

  /** Hands an answer to whichever other node the initiator waits on. False when it waits on none. */
  answer(answer: DeviceAnswer): Promise<boolean>

  /**
   * This node holds no devices from now on: for the others those that it held are offline at once, until they come to
   * another node. Initiators that wait here still get what arrives elsewhere. May be called twice; does not reject.
   */
  retire(): Promise<void>

  /** Stops taking part; devices held here are offline for the others. May be called twice. */
  leave(): Promise<void>
}
