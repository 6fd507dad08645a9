import type { Meeting, MeetingHalf, RelayHalf, SessionBroker } from '@tryst/relay'
import type { NodeId } from '@tryst/rendezvous'
import type { SharedNode } from '@tryst/shared-node'
import type { RedisSessions } from '@tryst/state-redis'
import { StreamHalf } from '@tryst/transport'
import { LRUCache } from 'lru-cache'
import type { SiblingRelays } from './sibling-relays.ts'

type Sessions = Pick<RedisSessions, 'requiresTickets' | 'meet' | 'met' | 'leave' | 'askIntroduced'>
type Links = Pick<SharedNode['links'], 'openStream'>
type Nodes = Pick<SharedNode['node'], 'find' | 'others'>

/** As long as a ticket is good for. */
const REMEMBER_OVER_MS = 60_000
const MAX_REMEMBERED = 20_000

/** Halves meet in Redis, and reach each other over the links between relays. */
export class SharedBroker implements SessionBroker {
  /** Sessions that came about here: nobody is let in again by an ID server's word while Redis is away. */
  readonly #over = new LRUCache<string, true>({ max: MAX_REMEMBERED, ttl: REMEMBER_OVER_MS })

  constructor(
    private readonly sessions: Sessions,
    private readonly links: Links,
    private readonly nodes: Nodes,
    private readonly siblings?: Pick<SiblingRelays, 'numberOf' | 'give'>,
  ) {}

  get requiresTickets(): boolean {
    return this.sessions.requiresTickets
  }

  async meet(half: MeetingHalf): Promise<Meeting> {
    const meeting = await this.sessions.meet(half)
    if (meeting.kind !== 'unavailable' || !this.requiresTickets) return meeting
    if (this.#over.has(half.uuid)) return { kind: 'used' }
    const session = await this.sessions.askIntroduced(half.uuid)
    switch (session.kind) {
      case 'introduced':
        if (half.device !== '' && half.device !== session.device) return { kind: 'wrong-device' }
        // Its partner was sent to the same relay.
        return { kind: 'wait', device: session.device }
      case 'unknown':
        return { kind: 'no-ticket' }
      default:
        return meeting
    }
  }

  met(uuid: string): void {
    this.#over.set(uuid, true)
    this.sessions.met(uuid)
  }

  leave(uuid: string, name: string): void {
    this.sessions.leave(uuid, name)
  }

  async dial(node: string, uuid: string, half: string, own: RelayHalf['transport']): Promise<RelayHalf | undefined> {
    try {
      const known = await this.nodes.find(node as NodeId)
      if (!known) return undefined
      const stream = await this.links.openStream(known, { uuid, half, webSocket: own === 'websocket' })
      return stream === 'gone' ? undefined : new StreamHalf(stream)
    } catch {
      // Whoever waits there can't be reached: as good as gone. The links log it.
      return undefined
    }
  }

  handOver(node: string, half: RelayHalf, stream: () => Uint8Array): boolean {
    const known = this.nodes.others.get(node as NodeId)
    const worker = known && this.siblings?.numberOf(known)
    return worker !== undefined && this.siblings?.give(worker, half, stream) === true
  }
}
