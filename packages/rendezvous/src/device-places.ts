import type { Endpoint } from '@tryst/protocol'
import type { Cluster, PushOutcome } from './cluster.ts'
import type { ClientConnection, Clock, DatagramPort } from './connection.ts'
import type { DeviceChannel } from './device-channel.ts'
import type { RendezvousEvents } from './events.ts'
import type { Kept, KeptConnections } from './kept-connections.ts'
import type { PeerId } from './peer-identity.ts'
import type { PresenceTable, RegisterOutcome } from './presence-table.ts'

export interface DevicePlacesParts {
  readonly presence: PresenceTable
  readonly kept: KeptConnections
  readonly cluster: Cluster
  readonly events: RendezvousEvents
  readonly clock: Clock
  readonly maxKeptDevices: number
  /** A device is reached over this connection from now on. */
  readonly onKept: (connection: ClientConnection) => void
}

/** Rows of the presence table that one call of `sweep` looks at. */
const SWEEP_ROWS = 20_000

/**
 * Where this node's devices are reached: at an address over UDP, or over the connection that they registered with. A
 * device is in one place: where it registered last. The other nodes are told what changes.
 */
export class DevicePlaces {
  #datagrams: DatagramPort = { send() {} }
  #isRetired = false

  constructor(private readonly parts: DevicePlacesParts) {}

  /** Devices on UDP are reached through `datagrams`. */
  start(datagrams: DatagramPort): void {
    this.#datagrams = datagrams
  }

  /**
   * An accepted registration: the device is here from now on. `gone`: its connection has ended meanwhile; `crowded`:
   * the share of connections that devices may have is used up.
   */
  settle(id: PeerId, { ip, port }: Endpoint, channel: DeviceChannel): RegisterOutcome | 'gone' | 'crowded' {
    const { presence, kept, clock } = this.parts
    if (channel.kind === 'connection') return this.#settleOn(channel.connection, id, ip)
    const change = presence.register(id, ip, port, clock())
    if (change === 'full' || change === 'refreshed') return change
    kept.part(id)
    this.claim(id, ip)
    return change
  }

  /** This node has the device. @param via the connection that it is reached over; none: UDP */
  claim(id: PeerId, ip: string, via?: Kept): void {
    const { cluster, events } = this.parts
    if (cluster.isAlone) return
    cluster.claim(id, ip, via?.name).catch((error: unknown) => events.unavailable('presence', error))
  }

  /** Another node has the device now. */
  forget(id: PeerId): void {
    const { presence, kept } = this.parts
    presence.remove(id)
    kept.part(id)
  }

  /** The device is not to be reached until it registers anew. */
  dismiss(id: PeerId): void {
    const { presence, kept } = this.parts
    const via = kept.of(id)
    if (!presence.remove(id)) return
    kept.part(id)
    this.#release(id, via)
  }

  /** No device is here any more; those on connections may still answer what they were asked. Settles when the others know. */
  retire(): Promise<void> {
    this.#isRetired = true
    return this.parts.cluster.retire()
  }

  /** Whether the device is online, here or on another node. Rejects with StoreUnavailableError. */
  async isOnlineAnywhere(id: PeerId): Promise<boolean> {
    const { presence, cluster, clock } = this.parts
    if (presence.isOnline(id, clock())) return true
    return !cluster.isAlone && (await cluster.locate([id]))[0] !== undefined
  }

  /** The IP that another node hears the device from. Rejects with StoreUnavailableError. */
  async ipElsewhere(id: PeerId): Promise<string | undefined> {
    return (await this.parts.cluster.locate([id]))[0]?.ip
  }

  /** The IP that the device is heard from. */
  holds(id: PeerId): string | undefined {
    const here = this.#isRetired ? undefined : this.parts.presence.find(id, this.parts.clock())
    return here?.online ? here.ip : undefined
  }

  /** The devices that are online here. */
  *online(): Generator<{ readonly id: PeerId; readonly ip: string }> {
    if (!this.#isRetired) yield* this.parts.presence.online(this.parts.clock)
  }

  /** Tells the device something. */
  push(id: PeerId, message: Uint8Array): PushOutcome {
    const { presence, kept, clock } = this.parts
    // What was heard here until a moment ago is nowhere now.
    if (this.#isRetired) return presence.find(id, clock()) ? 'silent' : 'not-mine'
    const over = kept.of(id)
    if (over) return kept.push(over, message) ? 'pushed' : 'silent'
    const here = presence.find(id, clock())
    if (!here) return 'not-mine'
    if (!here.online) return 'silent'
    this.#datagrams.send(message, here.ip, here.port)
    return 'pushed'
  }

  /** The name of the connection that the device is reached over here; undefined: UDP. */
  viaOf(id: PeerId): string | undefined {
    return this.parts.kept.of(id)?.name
  }

  /** The connection has ended, and with it the device that was reached over it is gone. */
  closed(connection: ClientConnection): void {
    const kept = this.parts.kept.drop(connection)
    if (kept?.id !== undefined) this.#leave(kept.id, kept)
  }

  /** Devices that have not been heard of for too long fall silent; to be called a few times a second. */
  sweep(): void {
    const { presence, kept, clock } = this.parts
    const nowMs = clock()
    presence.sweep(nowMs, SWEEP_ROWS, (id) => this.#release(id))
    kept.turn(nowMs)
  }

  #settleOn(connection: ClientConnection, id: PeerId, ip: string): RegisterOutcome | 'gone' | 'crowded' {
    const { presence, kept, maxKeptDevices, onKept } = this.parts
    // What is noted for a connection that has gone would never be cleared away.
    if (connection.isClosed) return 'gone'
    const one = kept.keep(connection)
    if (one.id === id) return 'refreshed'
    if (one.id === undefined && !kept.of(id) && kept.devices >= maxKeptDevices) return 'crowded'
    const isKnown = presence.find(id, this.parts.clock()) !== undefined
    if (presence.hold(id, ip) === 'full') return 'full'
    const former = one.id
    kept.lead(one, id)
    // The device has taken another id.
    if (former !== undefined) this.#leave(former, one)
    this.claim(id, ip, one)
    onKept(connection)
    return isKnown ? 'moved' : 'added'
  }

  #leave(id: PeerId, via: Kept): void {
    this.parts.presence.remove(id)
    this.#release(id, via)
  }

  #release(id: PeerId, via?: Kept): void {
    const { cluster, events } = this.parts
    if (cluster.isAlone || this.#isRetired) return
    cluster.release(id, via?.name).catch((error: unknown) => events.unavailable('presence', error))
  }
}
